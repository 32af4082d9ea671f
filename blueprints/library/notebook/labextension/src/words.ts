/** Values as people read them. Pure. */
import type { Inside } from './shapes';

const MINUTE = 60;
const HOUR = 3600;

/** `"1 h 05 min"`, `"14 min"`, `"4 min 30 s"` in the last five minutes, `"0 s"`. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE) {
    return `${s} s`;
  }
  if (s < 5 * MINUTE) {
    return `${Math.floor(s / MINUTE)} min ${String(s % MINUTE).padStart(2, '0')} s`;
  }
  if (s < HOUR) {
    return `${Math.floor(s / MINUTE)} min`;
  }
  const minutes = String(Math.floor((s % HOUR) / MINUTE)).padStart(2, '0');
  return s < 48 * HOUR ? `${Math.floor(s / HOUR)} h ${minutes} min` : `${Math.floor(s / (24 * HOUR))} days`;
}

/** Of five minutes at the least, in steps of five: said once, and true for a while. */
export function rough(seconds: number): string {
  const step = 5 * MINUTE;
  return span(Math.max(step, Math.floor(seconds / step) * step));
}

/** A whole number of minutes for a message that does not tick. */
export function minutes(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds / MINUTE));
  return whole === 1 ? '1 minute' : `${whole} minutes`;
}

export function size(mib: number): string {
  return mib < 1024 ? `${mib} MiB` : `${Number((mib / 1024).toFixed(1))} GiB`;
}

export function memory(of: Inside['memory']): string {
  if (!of.limit_mib) {
    return of.used_mib ? `${size(of.used_mib)} used` : '';
  }
  return of.used_mib ? `${size(of.used_mib)} of ${size(of.limit_mib)}` : `${size(of.limit_mib)}`;
}

/** Two decimals, four for what is less than one; cut off, not rounded: nobody has more left than is
 * said. */
export function short(text: string): string {
  return text.replace(/(\d+)\.(\d+)/, (_, whole: string, part: string) =>
    `${whole}.${part.slice(0, whole === '0' ? 4 : 2)}`
  );
}

export function clock(iso: string): string {
  return new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

/** The hours of `"1h"`, `"45m"` in words. */
export function by(text: string): string {
  return text
    .replace(/(\d+)h/, (_, n) => `${n} ${n === '1' ? 'hour' : 'hours'} `)
    .replace(/(\d+)m/, (_, n) => `${n} ${n === '1' ? 'minute' : 'minutes'}`)
    .trim();
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed ? trimmed[0].toUpperCase() + trimmed.slice(1) : '';
  return /[.!?…]$/.test(begun) || !begun ? begun : `${begun}.`;
}

/** The smallest of the warnings that is due with so much time left; 0 when none is. */
export function due(seconds: number, warnMinutes: number[]): number {
  const reached = warnMinutes.filter(m => seconds > 0 && seconds <= m * MINUTE);
  return reached.length ? Math.min(...reached) : 0;
}

/** Cut at a word, because a notification shows 140 letters. */
export function cut(text: string, most = 130): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line.length <= most) {
    return line;
  }
  const space = line.lastIndexOf(' ', most);
  return `${line.slice(0, space > most / 2 ? space : most)}…`;
}
