/** Time left, share, memory and messages. Nothing but this small file is part of Lab's start. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';

const IDLE_MS = 3000;

function whenIdle(then: () => void): void {
  if ('requestIdleCallback' in window) {
    window.requestIdleCallback(then, { timeout: IDLE_MS });
  } else {
    setTimeout(then, 500); // a browser without it
  }
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'perijove-inside:plugin',
  description: 'Shows what Perijove knows of this notebook, and warns before it ends.',
  autoStart: true,
  requires: [IStatusBar],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, bar: IStatusBar, palette: ICommandPalette | null): void => {
    void app.restored.then(() =>
      whenIdle(() => void import('./start').then(all => all.start(app, bar, palette)))
    );
  }
};

export default plugin;
