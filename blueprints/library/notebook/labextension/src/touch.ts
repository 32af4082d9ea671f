/** When somebody last did something in this page. A pointer that only rests on it tells nothing: a
 * browser reports moves also when the page moves below it. */
const ACTS = ['pointerdown', 'keydown', 'wheel', 'touchstart'];

export class Touch {
  private at = Date.now(); // whoever opened the page was there
  private told = 0;

  constructor() {
    for (const act of ACTS) {
      document.addEventListener(act, () => (this.at = Date.now()), { capture: true, passive: true });
    }
  }

  /** Seconds since then; null when that was told before. */
  news(): number | null {
    if (this.at <= this.told) {
      return null;
    }
    this.told = this.at;
    return Math.max(0, Math.round((Date.now() - this.at) / 1000));
  }
}
