/** The panel over the status bar: everything in words, messages until they are put away, buttons. */
import { Widget } from '@lumino/widgets';
import { button, h, refill } from './dom';
import { STOPPED, WAITS } from './ending';
import { type Connection, type Model, isDown } from './model';
import { sayTrouble } from './notify';
import type { Announcement, Inside, Visit } from './shapes';
import { by, clock, memory, sentence, short, span } from './words';

class Panel extends Widget {
  private readonly content = h('div', 'jp-perijove-content');
  private print = '';

  constructor(private readonly model: Model) {
    super();
    this.addClass('jp-perijove-panel');
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', 'Perijove: this notebook');
    this.node.tabIndex = -1;
    this.node.append(this.content);
    model.changed.connect(this.draw, this);
    this.draw();
  }

  dispose(): void {
    this.model.changed.disconnect(this.draw, this);
    super.dispose();
  }

  private draw(): void {
    const { inside, reachable, connection, extending } = this.model;
    const print = JSON.stringify([inside, reachable, connection, extending]);
    if (!inside || print === this.print) {
      return;
    }
    this.print = print;
    refill(
      this.content,
      h('h2', '', inside.name),
      ...this.trouble(reachable, connection),
      ...(isDown(connection) ? [] : [this.end(inside)]),
      ...this.messages(inside),
      this.facts(inside),
      this.link(inside)
    );
  }

  private trouble(reachable: boolean, connection: Connection): HTMLElement[] {
    const lost = 'The connection to this notebook is lost; this page tries again by itself.';
    const away = 'Perijove does not answer now. Your notebook runs on; this looks again by itself.';
    const down = connection === 'waits' ? WAITS : STOPPED.lines[0];
    const said = isDown(connection) ? down : connection === 'lost' ? lost : reachable ? '' : away;
    return said ? [h('p', 'jp-perijove-quiet', said)] : [];
  }

  private messages(inside: Inside): HTMLElement[] {
    if (!inside.announcements.length && !inside.visits.length) {
      return [];
    }
    return [
      h('ul', 'jp-perijove-messages',
        ...inside.visits.map(visit => this.visit(visit)),
        ...inside.announcements.map(message => this.message(message)))
    ];
  }

  private message(message: Announcement): HTMLElement {
    const from = [message.tenant_name, message.by, clock(message.starts_at)].filter(Boolean).join(' · ');
    const item = h('li', '',
      h('p', 'jp-perijove-text', message.text),
      h('p', 'jp-perijove-quiet', from),
      button('Got it', () => this.act(this.model.putAway(message.id)), `seen ${message.id}`));
    item.dataset.mood = message.level === 'warning' ? 'soon' : '';
    return item;
  }

  private visit(visit: Visit): HTMLElement {
    if (visit.ends_at) {
      return h('li', '',
        h('p', '', `${visit.visitor} may look into this server until ${clock(visit.ends_at)}.`),
        button('End the visit', () => this.act(this.model.endVisit(visit.id)), `end ${visit.id}`));
    }
    return h('li', '',
      h('p', '', `${visit.visitor} asks to look into this server for an hour.`),
      ...(visit.reason ? [h('p', 'jp-perijove-text', visit.reason)] : []),
      button('Allow', () => this.act(this.model.answer(visit.id, true)), `allow ${visit.id}`),
      button('Refuse', () => this.act(this.model.answer(visit.id, false)), `refuse ${visit.id}`));
  }

  private facts(inside: Inside): HTMLElement {
    const rows: [string, string][] = [
      ['Share', inside.share_text],
      ['Memory', memory(inside.memory)],
      ['So far', `${short(inside.cost)} credits, ${short(inside.per_hour)} an hour`],
      ...inside.left.map((one): [string, string] => [
        one.dimension === 'credits' ? 'Credits' : 'GPU-hours', short(one.text)
      ])
    ];
    return h('dl', '', ...rows.filter(([, text]) => text).flatMap(([name, text]) => [
      h('dt', '', name), h('dd', '', text)
    ]));
  }

  private end(inside: Inside): HTMLElement {
    const { extend, going, idle } = inside;
    const place = h('div', 'jp-perijove-end');
    if (idle) {
      const working = button('I am still working', () => this.act(this.model.stillWorking()), 'working');
      working.classList.add('jp-mod-accept');
      place.append(h('p', '', `Nothing happens here since ${clock(idle.since)}: it stops at ${clock(idle.stops_at)}. Files and open tabs stay, variables go.`), working);
    }
    if (going) {
      place.append(h('p', '', `It has to go at ${clock(going.at)}: ${sentence(going.reason)} Save your work: it waits again by itself.`));
    } else if (inside.ends_at) {
      place.append(h('p', '', `It ends at ${clock(inside.ends_at)}, in ${span(this.model.left ?? 0)}.`));
    }
    if (extend.possible === false) {
      place.append(h('p', 'jp-perijove-quiet', `It cannot be longer now: ${sentence(extend.why_not)}`));
    } else if (extend.by) {
      const more = button(`Extend by ${by(extend.by)}`, () => this.act(this.model.extend()), 'extend');
      more.disabled = this.model.extending;
      more.classList.add('jp-mod-accept');
      place.append(more);
    }
    return place;
  }

  private link(inside: Inside): HTMLElement {
    const link = h('a', '', 'Its page in the portal');
    return Object.assign(link, { href: inside.page, target: '_blank', rel: 'noopener' });
  }

  private act(done: Promise<void>): void {
    done.catch(sayTrouble);
  }
}

const MARGIN = 4;

/** The panel where the status line is, above notifications, until Escape or a click elsewhere. */
class Popup {
  private readonly panel: Panel;
  private readonly size = new ResizeObserver(() => this.place());

  constructor(
    model: Model,
    private readonly anchor: Anchor,
    private readonly closed: () => void
  ) {
    this.panel = new Panel(model);
    this.panel.addClass('jp-ThemedContainer');
    Widget.attach(this.panel, document.body);
    this.place();
    this.size.observe(this.panel.node);
    this.panel.node.addEventListener('keydown', this.key);
    document.addEventListener('pointerdown', this.elsewhere, true);
    window.addEventListener('resize', this.place);
    this.panel.node.focus();
  }

  close(): void {
    const inside = this.panel.node.contains(document.activeElement);
    this.size.disconnect();
    document.removeEventListener('pointerdown', this.elsewhere, true);
    window.removeEventListener('resize', this.place);
    this.panel.dispose();
    this.closed();
    if (inside) {
      this.anchor.focus();
    }
  }

  private readonly place = (): void => {
    const { left, top } = this.anchor.node.getBoundingClientRect();
    const { style, offsetWidth } = this.panel.node;
    const most = window.innerWidth - offsetWidth - MARGIN;
    style.left = `${Math.max(MARGIN, Math.min(left, most))}px`;
    style.bottom = `${window.innerHeight - top + MARGIN}px`;
  };

  private readonly key = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    }
  };

  private readonly elsewhere = (event: Event): void => {
    const to = event.target as Node;
    if (!this.panel.node.contains(to) && !this.anchor.node.contains(to)) {
      this.close();
    }
  };
}

interface Anchor {
  readonly node: HTMLElement;
  focus(): void;
}

let popup: Popup | null = null;

/** Opens it at the status line, with the focus in it; a second call closes it. */
export function toggle(model: Model, anchor: Anchor): void {
  if (popup) {
    popup.close();
  } else {
    popup = new Popup(model, anchor, () => (popup = null));
  }
}

/** Opens it unless it is open. */
export function open(model: Model, anchor: Anchor): void {
  if (!popup) {
    toggle(model, anchor);
  }
}
