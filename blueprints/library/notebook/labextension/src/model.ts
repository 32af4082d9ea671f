/** What this page knows: one look after another, each waiting for news, for as long as it is open. */
import { Signal } from '@lumino/signaling';
import { type Refusal, answerVisit, endVisit, extend, look, putAway } from './server';
import type { Inside, Look } from './shapes';

const WAIT_S = 20;
const HIDDEN_MS = 60_000;
const TROUBLE_MS = 10_000;
const FORBIDDEN = 403;
const NOT_FOUND = 404;

const pause = (ms: number): Promise<void> => new Promise(go => setTimeout(go, ms));

export class Model {
  readonly changed = new Signal<this, void>(this);
  inside: Inside | null = null;
  reachable = true;
  extending = false;
  private mark = '';
  private skew = 0;
  private round = 0;

  /** Looks until the page is left; ends at once where there is nothing to see for this visitor. */
  async run(): Promise<void> {
    document.addEventListener('visibilitychange', () => this.wakeUp());
    for (;;) {
      const hidden = document.hidden && this.mark !== '';
      try {
        const round = this.round;
        const seen = await look(this.mark, hidden ? 0 : WAIT_S);
        if (round === this.round) {
          this.take(seen);
        }
        await this.rest(hidden ? HIDDEN_MS : seen.reachable ? 0 : TROUBLE_MS);
      } catch (error) {
        const status = (error as Refusal).status;
        if (status === FORBIDDEN || status === NOT_FOUND) {
          return; // a visitor, or a server that was started by something else
        }
        this.lose();
        await this.rest(TROUBLE_MS);
      }
    }
  }

  /** Seconds until it ends, by the server's clock; null when nothing is known. */
  get left(): number | null {
    const end = this.inside?.going?.at ?? this.inside?.ends_at;
    return end ? (Date.parse(end) - Date.now() - this.skew) / 1000 : null;
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

  private lose(): void {
    this.reachable = false;
    this.changed.emit();
  }

  private wake: () => void = () => undefined;

  private wakeUp(): void {
    if (!document.hidden) {
      this.wake();
    }
  }

  private rest(ms: number): Promise<void> {
    return ms ? Promise.race([pause(ms), new Promise<void>(go => (this.wake = go))]) : pause(50);
  }
}
