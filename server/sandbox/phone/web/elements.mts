/**
 * A new element with its classes, some text or children, and what a tap on it does. Classes get the prefix of the phone's
 * own, so that they never meet those of the mini-program.
 */
export function el(
  tag: string,
  className = '',
  content: string | (Node | string | null)[] = [],
  onTap?: (event: MouseEvent) => void
): HTMLElement {
  const made = document.createElement(tag)
  if (className) made.className = className.replace(/\S+/g, 'ph-$&')
  for (const child of typeof content === 'string' ? [content] : content) if (child !== null) made.append(child)
  if (made instanceof HTMLButtonElement) made.type = 'button' // never submits anything
  if (onTap) made.addEventListener('click', onTap)
  return made
}

/** The element with that id, which the page's HTML has. */
export const byId = (id: string): HTMLElement => document.getElementById(id)!

/** A switch of the phone itself, with its label before it. */
export function toggle(label: string, on: boolean, change: (on: boolean) => void): HTMLElement {
  const track = el('button', 'switch')
  const show = () => track.setAttribute('aria-checked', String(on))
  track.setAttribute('role', 'switch')
  track.setAttribute('aria-label', label)
  track.addEventListener('click', () => {
    on = !on
    show()
    change(on)
  })
  show()
  return el('div', 'cell', [el('span', 'cell-label', label), track])
}
