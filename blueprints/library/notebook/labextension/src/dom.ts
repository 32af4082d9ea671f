/** Small pieces of page. Text is text: nothing that was typed by somebody is read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  node.className = className;
  node.append(...children);
  return node;
}

export function button(label: string, act: () => void, id = ''): HTMLButtonElement {
  const node = h('button', 'jp-Button jp-mod-styled jp-perijove-button', label);
  node.type = 'button';
  node.dataset.act = id || label;
  node.addEventListener('click', act);
  return node;
}

/** New content in the same place; whoever was on a button is on it again, if it is still there. */
export function refill(place: HTMLElement, ...children: (Node | string)[]): void {
  const active = document.activeElement as HTMLElement | null;
  const act = active && place.contains(active) ? active.dataset.act : undefined;
  place.replaceChildren(...children);
  if (act) {
    const again = place.querySelector<HTMLElement>(`[data-act="${CSS.escape(act)}"]`);
    (again ?? place.querySelector<HTMLElement>('button') ?? place).focus();
  }
}
