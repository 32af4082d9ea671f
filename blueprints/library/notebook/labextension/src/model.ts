/** What this page knows: one look after another, each waiting for news, for as long as it is open. */
import { Signal } from '@lumino/signaling';
import type { Refusal } from './refusal';
import { Rest } from './rest';
import { answerVisit, endVisit, extend, look, putAway, stillWorking } from './server';
import type { Inside, Look } from './shapes';
import { Touch } from './touch';

const WAIT_S = 20;
const HIDDEN_MS = 60_000;
const TROUBLE_MS = 10_000;
const SHORT_MS = 50;
const PATIENCE_MS = 5000;
const FORBIDDEN = 403;
const NOT_FOUND = 404;

/** `lost`: its server does not answer, and it is asked why. `waits`: for a place, and comes back by itself.
 * `stopped`: that, or it waits. `over`: it has ended, and nothing is asked. */
export type Connection = 'here' | 'lost' | 'waits' | 'stopped' | 'over';

/** It does not run, which is known, and may run again. */
export const isDown = (connection: Connection): boolean => connection === 'waits' || connection === 'stopped';

export class Model {
  readonly changed = new Signal<this, void>(this);
  readonly lost = new Signal<this, void>(this);
  inside: Inside | null = null;
  connection: Connection = 'here';
  /** Whether this notebook's server reaches Perijove. */
  reachable = true;
  extending = false;
  /** Another's server, which somebody only looks into. */
  visiting = false;
  private readonly touch = new Touch();
  private mark = '';
  private skew = 0;
  private round = 0;
  private readonly rest = new Rest();

  /** Looks until it is over; ends at once where there is nothing to see for this visitor. */
  async run(): Promise<void> {
    while (this.connection !== 'over') {
      if (this.connection !== 'here') {
        await this.rest.take(TROUBLE_MS); // until it is found out why
        continue;
      }
      const hidden = document.hidden && this.mark !== '';
      try {
        const round = this.round;
        const seen = await look(this.mark, hidden ? 0 : WAIT_S, this.touch.news());
        if (round === this.round) {
          this.take(seen);
        }
        await this.rest.take(hidden ? HIDDEN_MS : seen.reachable ? SHORT_MS : TROUBLE_MS);
      } catch (error) {
        if (this.closed(error as Refusal)) {
          return;
        }
        this.miss(error as Refusal);
        await this.rest.take(TROUBLE_MS);
      }
    }
  }

  /** Whether its server is there, asked once more. */
  answers(): Promise<boolean> {
    const asked = look(this.mark, 0, null).then(
      seen => {
        this.take(seen);
        return true;
      },
      (error: Refusal) => error.said === true
    );
    const late = new Promise<boolean>(go => setTimeout(go, PATIENCE_MS, false));
    return Promise.race([asked, late]);
  }

  become(connection: Connection): void {
    if (this.connection !== connection) {
      this.connection = connection;
      this.rest.end();
      this.changed.emit();
    }
  }

  /** Seconds until it ends, by the server's clock; null when nothing is known. */
  get left(): number | null {
    const end = this.inside?.going?.at ?? this.inside?.ends_at;
    return end ? (Date.parse(end) - Date.now() - this.skew) / 1000 : null;
  }

  /** Seconds since anything was at work, while it is asked whether anybody still is; null otherwise. */
  get idle(): number | null {
    const idle = this.inside?.idle;
    return idle ? (Date.now() - this.skew - Date.parse(idle.since)) / 1000 : null;
  }

  /** Raises Refusal with the reason. */
  async extend(): Promise<void> {
    if (this.extending) {
      return;
    }
    this.extending = true;
    this.changed.emit();
    try {
      await this.act(() => extend(crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`));
    } finally {
      this.extending = false;
      this.changed.emit();
    }
  }

  readonly stillWorking = (): Promise<void> => this.act(() => stillWorking());
  readonly putAway = (id: string): Promise<void> => this.act(() => putAway(id));
  readonly answer = (id: string, allow: boolean): Promise<void> =>
    this.act(() => answerVisit(id, allow));
  readonly endVisit = (id: string): Promise<void> => this.act(() => endVisit(id));

  private async act(request: () => Promise<Look>): Promise<void> {
    this.round += 1; // a look that is under way may be older than the answer
    this.take(await request());
    this.round += 1;
  }

  private take(seen: Look): void {
    this.mark = seen.mark;
    this.reachable = seen.reachable;
    if (seen.inside) {
      this.inside = seen.inside;
      if (seen.reachable) {
        const off = Date.now() - Date.parse(seen.inside.now);
        this.skew = Math.abs(off) > 30_000 ? off : 0; // its age is small, a wrong clock is not
      }
    }
    this.changed.emit();
  }

  /** A visitor, or a server that was started by something else. */
  private closed({ said, status }: Refusal): boolean {
    const first = this.inside === null && (status === FORBIDDEN || status === NOT_FOUND);
    this.visiting = first && said;
    return first;
  }

  private miss({ said }: Refusal): void {
    if (said) {
      this.reachable = false;
      this.changed.emit();
    } else {
      this.lost.emit();
    }
  }
}
