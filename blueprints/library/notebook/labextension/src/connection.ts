/** Who tells people that the server does not answer: JupyterLab itself until the rest of this extension
 * is there, which knows more. JupyterHub's own plugin for it is off (`labconfig/page_config.json`): it
 * says that the server has ended, also where only the network has. */
import { ConnectionLost, IConnectionLost } from '@jupyterlab/application';
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

let tell: IConnectionLost = ConnectionLost;

export function tellInstead(other: IConnectionLost): void {
  tell = other;
}

export const connection: JupyterFrontEndPlugin<IConnectionLost> = {
  id: 'perijove-inside:connection',
  description: 'Says what became of this notebook when its server does not answer.',
  autoStart: true,
  provides: IConnectionLost,
  activate: () => (...about) => tell(...about)
};
