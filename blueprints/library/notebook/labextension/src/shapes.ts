/** What control tells a workload of itself; `hub/api/inside_schema.py` says the same. */
export interface Inside {
  name: string;
  status: string;
  now: string;
  ends_at: string | null;
  warn_minutes: number[];
  extend: { possible: boolean | null; by: string; why_not: string };
  going: { at: string; reason: string } | null;
  /** The question whether anybody still works; null while there is none. */
  idle: { since: string; stops_at: string } | null;
  share: { milli: number };
  share_text: string;
  memory: { used_mib: number; limit_mib: number };
  cost: string;
  per_hour: string;
  left: Left[];
  announcements: Announcement[];
  visits: Visit[];
  page: string;
}

export interface Left {
  dimension: string;
  scope: string;
  text: string;
}

export interface Announcement {
  id: string;
  tenant_name: string;
  text: string;
  level: string;
  by: string;
  starts_at: string;
}

export interface Visit {
  id: string;
  visitor: string;
  reason: string;
  ends_at: string | null;
}

/** An answer of this notebook's own server: `inside` is the last that it heard. */
export interface Look {
  mark: string;
  reachable: boolean;
  inside: Inside | null;
}
