/** Requests to this notebook's own server, which speaks to control. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Refusal } from './refusal';
import type { Look } from './shapes';

const settings = ServerConnection.makeSettings();

/** Raises Refusal when the answer is an error, NetworkError when there is none. */
async function call<T>(path: string, body?: object): Promise<T> {
  const url = URLExt.join(settings.baseUrl, 'perijove', path);
  const init: RequestInit =
    body === undefined
      ? { method: 'GET', cache: 'no-store' }
      : { method: 'POST', body: JSON.stringify(body) };
  const answer = await ServerConnection.makeRequest(url, init, settings);
  const data = await answer.json().catch(() => null);
  if (answer.ok && data !== null) {
    return data as T;
  }
  throw Refusal.of(data, answer.status, 'Your notebook server does not answer as it should');
}

/** What there is to see; it waits up to `wait` seconds for what differs from `mark`.
 * `touched`: so many seconds ago somebody did something in this page; null when nobody did. */
export const look = (mark: string, wait: number, touched: number | null): Promise<Look> =>
  call<Look>(
    `inside?mark=${encodeURIComponent(mark)}&wait=${wait}` + (touched === null ? '' : `&touched=${touched}`)
  );

/** Somebody still works here. */
export const stillWorking = (): Promise<Look> => call<Look>('active', {});

/** The same key extends once, however often it is pressed. */
export const extend = (key: string): Promise<Look> => call<Look>('extend', { key });

export const putAway = (id: string): Promise<Look> =>
  call<Look>(`announcements/${encodeURIComponent(id)}/seen`, {});

export const answerVisit = (id: string, allow: boolean): Promise<Look> =>
  call<Look>(`visits/${encodeURIComponent(id)}/answer`, { allow });

export const endVisit = (id: string): Promise<Look> =>
  call<Look>(`visits/${encodeURIComponent(id)}/end`, {});
