/** Requests to this notebook's own server, which alone speaks to control. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { Look } from './shapes';

/** Words for a person, as control said them. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly next: string,
    readonly status: number
  ) {
    super(message);
  }
}

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
  const said = data?.error ?? {};
  throw new Refusal(
    said.message ?? 'Your notebook server does not answer as it should',
    said.next ?? 'try again',
    answer.status
  );
}

/** What there is to see; with the mark of the last look it waits up to `wait` seconds for news. */
export const look = (mark: string, wait: number): Promise<Look> =>
  call<Look>(`inside?mark=${encodeURIComponent(mark)}&wait=${wait}`);

/** The same key extends once, however often it is pressed. */
export const extend = (key: string): Promise<Look> => call<Look>('extend', { key });

export const putAway = (id: string): Promise<Look> =>
  call<Look>(`announcements/${encodeURIComponent(id)}/seen`, {});

export const answerVisit = (id: string, allow: boolean): Promise<Look> =>
  call<Look>(`visits/${encodeURIComponent(id)}/answer`, { allow });

export const endVisit = (id: string): Promise<Look> =>
  call<Look>(`visits/${encodeURIComponent(id)}/end`, {});
