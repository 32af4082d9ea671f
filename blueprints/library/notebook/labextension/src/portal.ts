/** Requests to the portal, for when this notebook's own server is gone: signed in as the person is there.
 * A site with a host for each person gives its pages no such door: then only a link is left. */
import { PageConfig } from '@jupyterlab/coreutils';
import { Refusal } from './refusal';

const PORTAL = '/services/portal/';
const PATIENCE_MS = 10_000;
const TROUBLE = 500;

/** What is read of a workload; `WorkloadView` of `hub/api/schema.py` has more. */
export interface Workload {
  id: string;
  status: 'queued' | 'offered' | 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
  reason: string;
  next: string;
  /** After it ran out of memory: what a larger one is asked for with. */
  suggestion: Record<string, unknown> | null;
}

/** `silent`: nothing answers now. `closed`: no answer for this page; a person may read it there. */
export type Said = Workload | 'silent' | 'closed';

const host = (): string => PageConfig.getOption('hubHost');
const id = (): string => encodeURIComponent(PageConfig.getOption('hubServerName'));

/** The page of a workload in the portal, which leads back to here once it runs. */
export function pageOf(workload = id()): string {
  const base = PageConfig.getBaseUrl();
  const here = window.location.href.split(/[?#]/)[0];
  const back = here.startsWith(`${base}lab`) ? here.slice(base.length) : 'lab';
  return `${host()}${PORTAL}workloads/${workload}?back=${encodeURIComponent(back)}`;
}

/** What control knows of this notebook. Raises nothing. */
export async function ask(): Promise<Said> {
  if (host() && host() !== window.location.origin) {
    return 'closed';
  }
  try {
    return await call<Workload>(`workloads/${id()}`, { method: 'GET' });
  } catch (error) {
    const { said, status } = error as Refusal;
    return said && status < TROUBLE ? 'closed' : 'silent';
  }
}

/** The same again, as a new workload; the same key makes one. Raises Refusal. */
export const startAgain = (set: Record<string, unknown>, key: string): Promise<Workload> =>
  call<Workload>(`workloads/${id()}/relaunch`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify({ set })
  });

async function call<T>(path: string, init: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`${PORTAL}api/v1/${path}`, {
      ...init,
      cache: 'no-store',
      headers: { ...init.headers, 'X-Perijove-Page': '1' },
      signal: AbortSignal.timeout(PATIENCE_MS)
    });
  } catch {
    throw new Refusal('Perijove cannot be reached', 'check your connection and try again', 0);
  }
  const data = await answer.json().catch(() => null);
  if (answer.ok && data !== null) {
    return data as T;
  }
  throw Refusal.of(data, answer.status, 'Perijove does not answer as it should');
}
