/** Time left, share, memory and messages, a launcher without a wait, and what became of a notebook that
 * does not answer. Nothing but this file and those of the two small plugins is part of Lab's start. */
import { JupyterLab } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';
import { connection } from './connection';
import { launcher } from './launcher';

const IDLE_MS = 3000;

function whenIdle(then: () => void): void {
  if ('requestIdleCallback' in window) {
    window.requestIdleCallback(then, { timeout: IDLE_MS });
  } else {
    setTimeout(then, 500); // a browser without it
  }
}

const status: JupyterFrontEndPlugin<void> = {
  id: 'perijove-inside:plugin',
  description: 'Shows what Perijove knows of this notebook, and warns before it ends.',
  autoStart: true,
  requires: [IStatusBar],
  optional: [ICommandPalette, JupyterLab.IInfo],
  activate: (
    app: JupyterFrontEnd,
    bar: IStatusBar,
    palette: ICommandPalette | null,
    info: JupyterLab.IInfo | null
  ): void => {
    void app.restored.then(() =>
      whenIdle(() => void import('./start').then(all => all.start(app, bar, palette, info)))
    );
  }
};

export default [connection, launcher, status];
