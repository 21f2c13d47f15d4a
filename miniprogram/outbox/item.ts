/** Something caught, waiting to be handed in. `caughtAt` is an instant of the phone's own clock. */
export type Item = {
  id: string
  caughtAt: string
  /** Tries held against it: the server refused it while it took others, or passed it over. */
  bad?: number
} & (
  | {
      kind: 'credential'
      source: 'form' | 'payment' | 'grant'
      value?: string
      templateId?: string
      result?: string
      place?: string
      orderId?: string
    }
  | { kind: 'event'; name: string; properties?: Record<string, string | number | boolean> }
  | { kind: 'open'; tag: string }
)
export type ItemKind = Item['kind']

/** An item before it got its id and instant. */
export type Catch = Item extends infer I ? (I extends Item ? Omit<I, 'id' | 'caughtAt' | 'bad'> : never) : never

/** The word an item is counted under: form, payment, grant, event, open. */
export const countedAs = (item: { kind: ItemKind; source?: string }): string => item.source || item.kind

/** Whether a value read back from storage still is an item. */
export function isItem(value: any): value is Item {
  if (!value || typeof value.id !== 'string' || !value.id || isNaN(Date.parse(value.caughtAt))) return false
  if (value.kind === 'credential') return /^(form|payment|grant)$/.test(value.source)
  if (value.kind === 'event') return typeof value.name === 'string'
  return value.kind === 'open' && typeof value.tag === 'string'
}

/** Where each kind goes, and what it looks like there. */
export const LANES: { kind: ItemKind; path: string; wire(item: any): object; dated: boolean }[] = [
  {
    kind: 'credential',
    path: '/v1/capture/credentials',
    dated: true,
    wire: ({ id, source, value, templateId, result, caughtAt, place, orderId }) => ({
      id,
      source,
      value,
      templateId,
      result,
      caughtAt,
      place,
      orderId
    })
  },
  {
    kind: 'open',
    path: '/v1/capture/opens',
    dated: false,
    wire: ({ id, tag, caughtAt }) => ({ id, tag, at: caughtAt })
  },
  {
    kind: 'event',
    path: '/v1/capture/events',
    dated: true,
    wire: ({ id, name, caughtAt, properties }) => ({ id, name, at: caughtAt, properties })
  }
]
