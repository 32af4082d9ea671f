/** All of it, fetched when JupyterLab is there and has nothing else to do. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IStatusBar } from '@jupyterlab/statusbar';
import { Model } from './model';
import { Notifier, sayTrouble } from './notify';
import { open, toggle } from './panel';
import { Status } from './status';

const SHOW = 'perijove:show';
const EXTEND = 'perijove:extend';

export function start(app: JupyterFrontEnd, bar: IStatusBar, palette: ICommandPalette | null): void {
  const model = new Model();
  const status: Status = new Status(model, () => toggle(model, status));
  const show = (): void => open(model, status);
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
