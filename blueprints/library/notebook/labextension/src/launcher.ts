/** The launcher as soon as JupyterLab is there. JupyterLab 4.6 opens it from its file browser, once the
 * router has tried all its rules; one of them saves the workspace, and waits three quarters of a second
 * before it does. This file can go when JupyterLab no longer lets people wait for that. */
import { ILabShell } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';

const CREATE = 'launcher:create';
/** Narrower than this, the side bar would leave no room for the launcher's cards. */
const NARROW_PX = 600;

/** A file to open, a workspace to reset or to copy: what is shown then is JupyterLab's to decide. */
function addressAsksForMore(): boolean {
  return PageConfig.getOption('treePath') !== '' || window.location.search !== '';
}

/** JupyterLab opens one only where the main area is empty: with this one there is no second. */
function openWhereEmpty(app: JupyterFrontEnd, shell: ILabShell): void {
  if (shell.isEmpty('main') && app.commands.hasCommand(CREATE) && !addressAsksForMore()) {
    void app.commands.execute(CREATE);
  }
}

/** JupyterLab keeps its layout in proportions: a side bar that fits a telephone would be most of a desk's
 * screen at the next visit. */
function foldWhereNarrow(shell: ILabShell): void {
  if (window.innerWidth < NARROW_PX) {
    shell.collapseLeft();
  }
}

export const launcher: JupyterFrontEndPlugin<void> = {
  id: 'perijove-inside:launcher',
  description: 'Opens the launcher at once where nothing else is open, and gives it room on a telephone.',
  autoStart: true,
  optional: [ILabShell],
  activate: (app: JupyterFrontEnd, shell: ILabShell | null): void => {
    if (shell) {
      void app.restored.then(() => {
        foldWhereNarrow(shell);
        openWhereEmpty(app, shell);
      });
    }
  }
};
