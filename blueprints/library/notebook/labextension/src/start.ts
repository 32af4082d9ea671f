/** All of it, fetched when JupyterLab is there and has nothing else to do. */
import '../style/index.css';
import type { JupyterFrontEnd, JupyterLab } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IStatusBar } from '@jupyterlab/statusbar';
import { Absence } from './absence';
import { tellInstead } from './connection';
import { Model } from './model';
import { Notifier, sayTrouble } from './notify';
import { open, toggle } from './panel';
import { Status } from './status';

const SHOW = 'perijove:show';
const EXTEND = 'perijove:extend';

/** Tabs that show the mark of JupyterLab for changes that are not saved. */
const unsaved = (app: JupyterFrontEnd): string[] =>
  [...app.shell.widgets('main')].map(one => one.title).filter(title => title.className.includes('jp-mod-dirty')).map(title => title.label);

export function start(
  app: JupyterFrontEnd,
  bar: IStatusBar,
  palette: ICommandPalette | null,
  info: JupyterLab.IInfo | null
): void {
  const model = new Model();
  const absence = new Absence(model, { info, unsaved: () => unsaved(app) });
  tellInstead(async () => absence.begin());
  const unlessOver = (then: () => void): void =>
    model.connection === 'over' ? void absence.show() : then();
  const status: Status = new Status(model, () => unlessOver(() => toggle(model, status)));
  const show = (): void => unlessOver(() => open(model, status));
  bar.registerStatusItem('perijove-inside:status', { item: status, align: 'right', rank: 900 });
  new Notifier(model, show);
  app.commands.addCommand(SHOW, {
    label: 'Time Left, Share and Messages',
    describedBy: { args: { type: 'object', properties: {} } },
    execute: show
  });
  app.commands.addCommand(EXTEND, {
    label: 'Extend My Time',
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => model.extend().catch(sayTrouble)
  });
  for (const command of [SHOW, EXTEND]) {
    palette?.addItem({ command, category: 'Perijove' });
  }
  void model.run();
}
