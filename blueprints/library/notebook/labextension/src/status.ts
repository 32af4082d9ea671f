/** The line in the status bar: a button that opens the panel. */
import { Widget } from '@lumino/widgets';
import { h } from './dom';
import type { Connection, Model } from './model';
import { clock, memory, short, span } from './words';

const TICK_MS = 1000;
const FULL = 0.9;
/** All that is said of a notebook that is known not to run. */
const INSTEAD: Partial<Record<Connection, string>> = {
  waits: 'Waits for a place',
  stopped: 'Does not run now',
  over: 'Ended: start it again'
};

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
    const ending = inside.going || inside.idle || (left !== null && left <= last);
    this.button.dataset.mood = ending ? 'last' : soon ? 'soon' : '';
    const count = inside.announcements.length + inside.visits.length;
    const { connection } = this.model;
    const instead = INSTEAD[connection];
    if (instead) {
      this.sayOnly(instead);
      return;
    }
    const stops = inside.idle ? `idle, stops at ${clock(inside.idle.stops_at)}` : '';
    this.set('time', stops || (left === null ? '' : inside.going ? `goes in ${span(left)}` : `${span(left)} left`));
    this.set('share', inside.share_text);
    this.set('memory', memory(inside.memory));
    this.parts.memory.dataset.mood = inside.memory.used_mib > FULL * inside.memory.limit_mib ? 'soon' : '';
    const heard = reachable ? short(inside.left[0]?.text ?? '') : 'Perijove does not answer now';
    this.set('left', connection === 'lost' ? 'Connection lost' : heard);
    this.set('news', count ? `${count} ${count === 1 ? 'message' : 'messages'}` : '');
    this.label();
  }

  /** What was known of it is not so any more. */
  private sayOnly(text: string): void {
    this.button.dataset.mood = 'last';
    for (const part of ['share', 'memory', 'left', 'news'] as const) {
      this.set(part, '');
    }
    this.set('time', text);
    this.label(true);
  }

  private label(atOnce = false): void {
    const said = Object.values(this.parts).map(part => part.textContent).filter(Boolean);
    const label = `Perijove: ${said.join(', ')}`;
    // A label that changes each second would be read out each second to whoever rests on it.
    if ((atOnce || document.activeElement !== this.button) && this.button.title !== label) {
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
