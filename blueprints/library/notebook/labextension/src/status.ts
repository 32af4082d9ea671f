/** The line in the status bar: a button that opens the panel. */
import { Widget } from '@lumino/widgets';
import { h } from './dom';
import type { Model } from './model';
import { memory, short, span } from './words';

const TICK_MS = 1000;
const FULL = 0.9;

export class Status extends Widget {
  private readonly button = h('button', 'jp-perijove-status');
  private readonly parts = {
    time: h('span', 'jp-perijove-time'),
    share: h('span', 'jp-perijove-share'),
    memory: h('span', 'jp-perijove-memory'),
    left: h('span', 'jp-perijove-left'),
    news: h('span', 'jp-perijove-news')
  };
  private timer = 0;

  constructor(
    private readonly model: Model,
    open: () => void
  ) {
    super();
    this.addClass('jp-perijove-item');
    this.button.type = 'button';
    this.button.setAttribute('aria-haspopup', 'dialog');
    this.button.append(...Object.values(this.parts));
    Object.values(this.parts).forEach(part => (part.hidden = true));
    this.button.addEventListener('click', open);
    this.node.append(this.button);
    model.changed.connect(() => this.draw());
    this.timer = window.setInterval(() => this.draw(), TICK_MS);
    this.draw();
  }

  dispose(): void {
    window.clearInterval(this.timer);
    super.dispose();
  }

  focus(): void {
    this.button.focus();
  }

  private draw(): void {
    const { inside, left, reachable } = this.model;
    this.setHidden(inside === null);
    if (inside === null) {
      return;
    }
    const last = Math.min(...inside.warn_minutes) * 60;
    const first = Math.max(...inside.warn_minutes) * 60;
    const soon = left !== null && left <= first;
    this.button.dataset.mood = inside.going || (left !== null && left <= last) ? 'last' : soon ? 'soon' : '';
    const count = inside.announcements.length + inside.visits.length;
    this.set('time', left === null ? '' : inside.going ? `goes in ${span(left)}` : `${span(left)} left`);
    this.set('share', inside.share_text);
    this.set('memory', memory(inside.memory));
    this.parts.memory.dataset.mood = inside.memory.used_mib > FULL * inside.memory.limit_mib ? 'soon' : '';
    this.set('left', reachable ? short(inside.left[0]?.text ?? '') : 'Perijove does not answer now');
    this.set('news', count ? `${count} ${count === 1 ? 'message' : 'messages'}` : '');
    const said = Object.values(this.parts).map(part => part.textContent).filter(Boolean);
    const label = `Perijove: ${said.join(', ')}`;
    // A label that changes each second would be read out each second to whoever rests on it.
    if (document.activeElement !== this.button && this.button.title !== label) {
      this.button.title = label;
      this.button.setAttribute('aria-label', label);
    }
  }

  private set(part: keyof Status['parts'], text: string): void {
    if (this.parts[part].textContent !== text) {
      this.parts[part].textContent = text;
      this.parts[part].hidden = !text;
    }
  }
}
