/** A line over the status bar for what is to be said without a server: JupyterLab fetches its own
 * notifications when the first one is shown, which is too late then. */
import { button, h, refill } from './dom';

export class Banner {
  private readonly node = h('div', 'jp-perijove-banner jp-ThemedContainer');
  private said = '';

  /** Shown until `hush`, or until somebody closes it; said again only when it changes. */
  say(message: string, page = ''): void {
    if (message === this.said) {
      return;
    }
    this.said = message;
    const text = h('p', '', message);
    text.setAttribute('role', 'alert');
    const link = Object.assign(h('a', '', 'Its page in the portal'), { href: page, target: '_blank', rel: 'noopener' });
    document.body.append(this.node);
    refill(this.node, text, ...(page ? [link] : []), button('Close', () => this.node.remove()));
  }

  hush(): void {
    this.said = '';
    this.node.remove();
  }
}
