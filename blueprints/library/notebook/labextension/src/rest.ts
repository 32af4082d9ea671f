/** A wait that ends early when somebody looks at the page again, or its network is back. */
export class Rest {
  private wake: () => void = () => undefined;

  constructor() {
    document.addEventListener('visibilitychange', () => document.hidden || this.wake());
    window.addEventListener('online', () => this.wake());
  }

  take(ms: number): Promise<void> {
    return new Promise(go => {
      this.wake = go;
      setTimeout(go, ms);
    });
  }

  end(): void {
    this.wake();
  }
}
