/** What became of a notebook whose server does not answer: the server and the portal are asked in turn,
 * until one of them says. That it has ended is told only when control says so: the Hub, the proxy or a
 * network may be away for a moment. Where control may not be asked, what it said last counts. */
import { Dialog, Notification } from '@jupyterlab/apputils';
import { Banner } from './banner';
import { dialogOf } from './dialog';
import { STOPPED, type Told, ended, isOver, lost, waiting, waits } from './ending';
import { type Connection, type Model, isDown } from './model';
import { type Said, type Workload, ask, pageOf, startAgain } from './portal';
import type { Refusal } from './refusal';
import { Rest } from './rest';
import { sentence } from './words';

const GRACE_MS = 3000;
const FIRST_MS = 1000;
const LATER_MS = 10_000;
const HIDDEN_MS = 60_000;
const SIGNED_OUT = 401;

/** What of JupyterLab is needed. While `isConnected` is false it asks its server nothing, and saves nothing. */
export interface Lab {
  info: { isConnected: boolean } | null;
  /** The names of what is open and has changes that were not saved. */
  unsaved: () => string[];
}

export class Absence {
  private readonly rest = new Rest();
  private readonly key = `again-${Date.now()}-${Math.random()}`;
  private readonly banner = new Banner();
  private dialog: Dialog<unknown> | null = null;
  private last: Workload | null = null;

  constructor(
    private readonly model: Model,
    private readonly lab: Lab
  ) {
    model.lost.connect(this.begin, this);
  }

  /** Find out, unless that is under way or known. */
  begin(): void {
    if (this.model.connection === 'here') {
      this.become('lost');
      void this.follow(Date.now());
    }
  }

  /** The end in words, and the button that starts it again. */
  async show(trouble = ''): Promise<void> {
    const of = this.last;
    if (!of || this.dialog) {
      return;
    }
    const { visiting } = this.model;
    const larger = of.suggestion && Object.keys(of.suggestion).length ? of.suggestion : null;
    const again = larger
      ? [
          Dialog.cancelButton({ label: 'Same again', actions: ['same'] }),
          Dialog.okButton({ label: `Start again with ${answers(larger)}`, actions: ['larger'] })
        ]
      : [Dialog.okButton({ label: 'Start again', actions: ['same'] })];
    const pressed = await this.ask(ended(of, this.lab.unsaved(), visiting), visiting ? [] : again, trouble);
    if (pressed) {
      await this.again(pressed === 'larger' && larger ? larger : {}, pressed);
    }
  }

  private async follow(since: number): Promise<void> {
    for (let round = 0; ; round += 1) {
      if (await this.model.answers()) {
        this.back();
        return;
      }
      const said = await ask();
      if (isOver(said)) {
        this.end(said);
        return;
      }
      this.tell(said, Date.now() - since);
      await this.rest.take(pause(round, said));
    }
  }

  private end(of: Workload): void {
    this.last = of;
    this.become('over');
    this.hush();
    void this.show();
  }

  private back(): void {
    const wasDown = isDown(this.model.connection);
    this.hush();
    this.become('here');
    if (wasDown) {
      const anew = { label: 'Load the page anew', displayType: 'accent' as const, callback: () => window.location.reload() };
      Notification.info('This notebook runs again. What was only in memory is gone.', { autoClose: false, actions: [anew] });
    }
  }

  private tell(said: Said, forMs: number): void {
    const { connection, inside, visiting } = this.model;
    if (isDown(connection)) {
      return; // that was told, and is the reason
    }
    if (waits(said)) {
      this.leadToItsPage(waiting(said, visiting), 'waits');
    } else if (said === 'closed' && inside?.status === 'stopping') {
      this.leadToItsPage(STOPPED, 'stopped');
    } else if (forMs > GRACE_MS) {
      this.banner.say(lost(said, visiting), said === 'closed' && !visiting ? pageOf() : '');
    }
  }

  private leadToItsPage(told: Told, connection: Connection): void {
    this.become(connection);
    this.hush();
    const buttons = this.model.visiting ? [] : [Dialog.okButton({ label: 'Go to its page', actions: ['page'] })];
    void this.ask(told, buttons).then(pressed => pressed && window.location.assign(pageOf()));
  }

  /** Takes back what is not so any more. */
  private hush(): void {
    this.banner.hush();
    this.dialog?.reject();
    this.dialog = null;
  }

  /** What was pressed of `buttons`; nothing when it was closed. */
  private async ask(told: Told, buttons: Dialog.IButton[], trouble = ''): Promise<string> {
    const close = Dialog.cancelButton({ label: 'Close' });
    const page = this.model.visiting ? '' : pageOf();
    const dialog = (this.dialog = dialogOf(told, [close, ...buttons], page, trouble));
    const { button } = await dialog.launch();
    if (this.dialog === dialog) {
      this.dialog = null;
    }
    return button.actions[0] ?? '';
  }

  private async again(set: Record<string, unknown>, name: string): Promise<void> {
    this.banner.say('Starting this notebook again…'); // until the page has gone
    try {
      const made = await startAgain(set, `${this.key}-${name}`);
      window.location.assign(pageOf(made.id));
    } catch (error) {
      const { message, next, status } = error as Refusal;
      if (status === SIGNED_OUT) {
        window.location.assign(pageOf());
      } else {
        this.banner.hush();
        void this.show(`${sentence(message)} ${sentence(next)}`);
      }
    }
  }

  private become(connection: Connection): void {
    if (this.lab.info) {
      this.lab.info.isConnected = connection === 'here';
    }
    this.model.become(connection);
  }
}

const answers = (set: Record<string, unknown>): string =>
  Object.entries(set).map(([name, value]) => `${name} ${value}`).join(', ');

/** Soon at first, and where it is about to end; then not all pages of a site at once. */
function pause(round: number, said: Said): number {
  if (document.hidden) {
    return HIDDEN_MS;
  }
  const ends = typeof said === 'object' && said.status === 'stopping';
  const usual = ends ? FIRST_MS : Math.min(LATER_MS, FIRST_MS * 1.5 ** round);
  return usual * (0.8 + 0.4 * Math.random());
}
