/** The panel over the status bar: everything in words, messages until they are put away, buttons. */
import { showPopup } from '@jupyterlab/statusbar';
import { Widget } from '@lumino/widgets';
import { button, h, refill } from './dom';
import type { Model } from './model';
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
    const { inside, reachable, extending } = this.model;
    const print = JSON.stringify([inside, reachable, extending]);
    if (!inside || print === this.print) {
      return;
    }
    this.print = print;
    refill(
      this.content,
      h('h2', '', inside.name),
      ...(reachable ? [] : [h('p', 'jp-perijove-quiet', 'Perijove does not answer now. Your notebook runs on; this looks again by itself.')]),
      ...this.messages(inside),
      this.facts(inside),
      this.end(inside)
    );
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
    const { extend, going } = inside;
    const place = h('div', 'jp-perijove-end');
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
    const link = h('a', '', 'Its page in the portal');
    Object.assign(link, { href: inside.page, target: '_blank', rel: 'noopener' });
    place.append(link);
    return place;
  }

  private act(done: Promise<void>): void {
    done.catch(sayTrouble);
  }
}

let popup: Widget | null = null;

/** Opens it at the status line, with the focus in it; a second call closes it. */
export function toggle(model: Model, anchor: Widget & { focus?: () => void }): void {
  if (popup && !popup.isDisposed) {
    popup.dispose();
    return;
  }
  const panel = new Panel(model);
  popup = showPopup({ body: panel, anchor, align: 'right', hasDynamicSize: true });
  popup.disposed.connect(() => anchor.focus?.());
  panel.node.focus();
}
