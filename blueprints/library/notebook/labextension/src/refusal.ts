/** Words for a person, as control said them. `said`: they are its own, so whom was asked is there. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly next: string,
    readonly status: number,
    readonly said = false
  ) {
    super(message);
  }

  /** Of an answer in the API's one error shape; `otherwise` what is said of any other. */
  static of(data: { error?: { message?: string; next?: string } } | null, status: number, otherwise: string): Refusal {
    const error = data?.error;
    return new Refusal(error?.message ?? otherwise, error?.next ?? 'try again', status, Boolean(error?.message));
  }
}
