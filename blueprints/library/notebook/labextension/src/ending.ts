/** What is said of a notebook that does not answer, in control's own words where it has any. Pure. */
import type { Said, Workload } from './portal';
import { sentence } from './words';

export interface Told {
  title: string;
  lines: string[];
}

const KEPT = 'Files in your home are kept; what was only in memory, like variables, is gone.';
/** After a loss of its place. */
export const WAITS = 'It starts again by itself when there is room for it.';
const NOT_YOURS = 'You were looking into it: only its owner starts it again.';
const LOST = 'The connection to this notebook is lost.';

export const isOver = (said: Said): said is Workload =>
  typeof said === 'object' && (said.status === 'stopped' || said.status === 'failed');

/** It lost its place, and gets another by itself. */
export const waits = (said: Said): said is Workload =>
  typeof said === 'object' && ['queued', 'offered', 'starting'].includes(said.status);

/** `visiting`: to somebody who only looked into it, here and below. */
export function ended(of: Workload, unsaved: string[], visiting: boolean): Told {
  const failed = of.status === 'failed';
  const title = `This notebook has ${failed ? 'failed' : 'ended'}`;
  if (visiting) {
    return { title, lines: [sentence(of.reason), NOT_YOURS].filter(Boolean) };
  }
  const kept = of.reason.includes('files') || of.next.includes('files') ? '' : KEPT;
  const open = unsaved.length ? `Not saved in this page: ${unsaved.join(', ')}. Copy what you need of it before you start again.` : '';
  const lines = [sentence(of.reason), failed ? sentence(of.next) : '', kept, open];
  return { title, lines: lines.filter(Boolean) };
}

export function waiting(of: Workload, visiting: boolean): Told {
  const lines = [sentence(of.reason), WAITS, visiting ? '' : KEPT];
  return { title: 'This notebook waits again', lines: lines.filter(Boolean) };
}

/** Control was stopping it when it was last heard of, and this page may not ask what came of it. */
export const STOPPED: Told = {
  title: 'This notebook does not run now',
  lines: ['It was stopped, or it waits for a place: its page in the portal says which, and why.', KEPT]
};

/** While nobody says that it has ended. */
export function lost(said: Said, visiting: boolean): string {
  if (said === 'closed' && !visiting) {
    return `${LOST} This page tries again by itself. The notebook’s page in the portal says how it is.`;
  }
  if (said === 'silent' || said === 'closed') {
    return `${LOST} This page tries again by itself.`;
  }
  return said.status === 'stopping'
    ? 'This notebook is being stopped.'
    : `${LOST} It runs on, and this page tries again by itself.`;
}
