/** Notifications: the end of the lease, work that must go, messages, visits. */
import { Notification } from '@jupyterlab/apputils';
import type { Model } from './model';
import type { Refusal } from './refusal';
import type { Announcement, Inside, Visit } from './shapes';
import { by, clock, cut, due, minutes, rough, sentence, span } from './words';

const COUNT_MS = 5000;
const MOST = 2;

/** Why something that a person asked for was not done. */
export function sayTrouble(error: Error): void {
  const next = (error as Refusal).next;
  Notification.error(cut(`${sentence(error.message)} ${next ? sentence(next) : ''}`), { autoClose: 8000 });
}

/** One notification of a kind, by what it is about: shown again only when that changes. */
class Told {
  private readonly shown = new Map<string, { id: string; message: string }>();

  tell(about: string, message: string, type: 'info' | 'warning' | 'error', actions: Notification.IAction[]): void {
    const before = this.shown.get(about);
    if (before) {
      if (before.message !== message) {
        Notification.update({ id: before.id, message, type, actions, autoClose: false });
        before.message = message;
      }
      return;
    }
    const id = Notification.emit(message, type, { autoClose: false, actions });
    this.shown.set(about, { id, message });
  }

  /** Take away what is not so any more. */
  keep(still: Set<string>): void {
    for (const [about, { id }] of this.shown) {
      if (!still.has(about)) {
        Notification.dismiss(id);
        this.shown.delete(about);
      }
    }
  }
}

export class Notifier {
  private readonly told = new Told();
  private endsAt: string | null = null;

  constructor(
    private readonly model: Model,
    private readonly open: () => void
  ) {
    model.changed.connect(() => this.look());
    window.setInterval(() => this.look(), COUNT_MS);
  }

  private look(): void {
    const { inside, left } = this.model;
    const still = new Set<string>();
    if (!inside || this.model.connection === 'over') {
      this.told.keep(still);
      return;
    }
    const say = (about: string, ...what: [string, 'info' | 'warning' | 'error', Notification.IAction[]]): void => {
      still.add(about);
      this.told.tell(about, ...what);
    };
    this.ending(inside, left, say);
    this.idle(inside, say);
    this.messages(inside.announcements, say);
    inside.visits.filter(visit => !visit.ends_at).forEach(visit => this.visit(visit, say));
    this.told.keep(still);
    this.sayExtended(inside);
  }

  private ending(inside: Inside, left: number | null, say: Say): void {
    if (left === null || left <= 0) {
      return;
    }
    if (inside.going) {
      const text = `This notebook has to go in ${span(left)}: ${inside.going.reason}`;
      say(`going ${inside.going.at}`, `${cut(text, 80)} Save your work: it waits again by itself.`, 'error', []);
      return;
    }
    const warning = due(left, inside.warn_minutes);
    if (!warning) {
      return;
    }
    const { possible, by: more, why_not } = inside.extend;
    const extend: Notification.IAction = {
      label: `Extend by ${by(more)}`,
      displayType: 'accent',
      callback: event => {
        event.preventDefault(); // it stays until it is so
        this.model.extend().catch(sayTrouble);
      }
    };
    const advice = possible === false ? `It cannot be longer: ${sentence(why_not)} Save your work.` : 'Extend it, or save your work.';
    const when = minutes(Math.min(left, warning * 60));
    say(`ending ${inside.ends_at} ${warning}`, cut(`This notebook ends in ${when}. ${advice}`), 'warning', possible === false ? [] : [extend]);
  }

  private idle(inside: Inside, say: Say): void {
    const { idle } = this.model;
    if (!inside.idle || idle === null) {
      return;
    }
    const gives = inside.share.milli ? ' and frees its GPU' : '';
    const text = `Idle for ${rough(idle)}. This server stops at ${clock(inside.idle.stops_at)}${gives}: files and open tabs stay, variables go.`;
    say(`idle ${inside.idle.stops_at}`, cut(text), 'warning', [{
      label: 'I am still working',
      displayType: 'accent',
      callback: event => {
        event.preventDefault(); // it stays until that is known
        this.model.stillWorking().catch(sayTrouble);
      }
    }]);
  }

  /** The newest by themselves; what is more waits in the panel. */
  private messages(all: Announcement[], say: Say): void {
    const shown = all.length > MOST + 1 ? all.slice(0, MOST) : all;
    shown.forEach(message => this.message(message, say));
    const more = all.length - shown.length;
    if (more) {
      say('more messages', `There are ${more} more messages.`, 'info', [this.read('Read them')]);
    }
  }

  private read(label: string): Notification.IAction {
    return { label, callback: event => { event.preventDefault(); this.open(); } };
  }

  private message(message: Announcement, say: Say): void {
    const actions: Notification.IAction[] = [
      { label: 'Got it', displayType: 'accent', callback: () => this.model.putAway(message.id).catch(sayTrouble) }
    ];
    const whole = `${message.tenant_name}: ${message.text}`;
    const text = cut(whole);
    if (text !== whole) {
      actions.unshift(this.read('Read it'));
    }
    say(`message ${message.id}`, text, message.level === 'warning' ? 'warning' : 'info', actions);
  }

  private visit(visit: Visit, say: Say): void {
    const answer = (allow: boolean) => (): void => { this.model.answer(visit.id, allow).catch(sayTrouble); };
    const why = visit.reason ? ` ${visit.reason}` : '';
    say(`visit ${visit.id}`, cut(`${visit.visitor} asks to look into this server for an hour.${why}`), 'warning', [
      { label: 'Allow', displayType: 'accent', callback: answer(true) },
      { label: 'Refuse', callback: answer(false) }
    ]);
  }

  private sayExtended(inside: Inside): void {
    const before = this.endsAt;
    this.endsAt = inside.ends_at;
    if (before && inside.ends_at && !inside.going && Date.parse(inside.ends_at) > Date.parse(before)) {
      Notification.success(`This notebook now ends at ${clock(inside.ends_at)}.`, { autoClose: 5000 });
    }
  }
}

type Say = (about: string, message: string, type: 'info' | 'warning' | 'error', actions: Notification.IAction[]) => void;
