/** A dialog of JupyterLab's own kind, of a few lines and a link. */
import { Dialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';
import { h } from './dom';
import type { Told } from './ending';

const BODY = 'jp-perijove-said';

/** `trouble`: why what was pressed before was not done. Without `page` there is no link. */
export function dialogOf(told: Told, buttons: Dialog.IButton[], page: string, trouble = ''): Dialog<unknown> {
  const body = new Widget({ node: h('div', BODY) });
  body.node.id = BODY;
  if (trouble) {
    const alert = h('p', 'jp-perijove-trouble', trouble);
    alert.setAttribute('role', 'alert');
    body.node.append(alert);
  }
  body.node.append(...told.lines.map(line => h('p', '', line)));
  if (page) {
    const link = Object.assign(h('a', '', 'Its page in the portal'), { href: page, target: '_blank', rel: 'noopener' });
    body.node.append(h('p', '', link));
  }
  const dialog = new Dialog<unknown>({ title: told.title, body, buttons });
  dialog.node.setAttribute('aria-label', told.title);
  dialog.node.setAttribute('aria-describedby', BODY);
  return dialog;
}
