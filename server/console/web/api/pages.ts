import { computed, ref, shallowRef, watch, type Ref, type WatchSource } from 'vue'
import { api } from './http.js'
import { asRefused, type Refused } from './problem.js'
import type { Query } from './send.js'

export type Page<T> = { data: T[]; page: { nextCursor: string | null } }

/** Rows as a list shows them: with what is still being read, what was refused, and how it goes on. */
export type Listed<T> = {
  rows: Readonly<Ref<readonly T[]>>
  loading: Readonly<Ref<boolean>>
  refused: Readonly<Ref<Refused | null>>
  /** null: there are no more. */
  next: Readonly<Ref<string | null>>
  more: () => unknown
  reload: () => unknown
}

/** Rows that are there all at once, as they were read by `from` or are at hand. */
export function listed<T>(
  rows: () => readonly T[],
  from: Pick<Listed<T>, 'loading' | 'refused' | 'reload'> = {
    loading: ref(false),
    refused: ref(null),
    reload: () => {}
  }
): Listed<T> {
  return { rows: computed(rows), ...from, next: ref(null), more: () => {} }
}

/**
 * A list read page by page with its cursor. `query` is asked again whenever what it reads changes; an older answer
 * never overwrites a newer one. `query` null: nothing to ask yet.
 */
export function usePages<T>(path: string | (() => string), query: () => Query | null = () => ({})) {
  const rows = shallowRef<T[]>([])
  const loading = ref(false)
  const refused = shallowRef<Refused | null>(null)
  const next = ref<string | null>(null)
  let turn = 0

  async function read(cursor: string | null): Promise<void> {
    const asked = query()
    const mine = ++turn
    if (asked === null) {
      rows.value = []
      next.value = null
      return
    }
    loading.value = true
    try {
      const at = typeof path === 'string' ? path : path()
      const { data, page } = await api.get<Page<T>>(at, { ...asked, cursor })
      if (mine !== turn) return
      rows.value = cursor === null ? data : [...rows.value, ...data]
      next.value = page.nextCursor
      refused.value = null
    } catch (error) {
      if (mine === turn) refused.value = asRefused(error)
    } finally {
      if (mine === turn) loading.value = false
    }
  }

  watch(
    () => JSON.stringify([typeof path === 'string' ? path : path(), query()]),
    () => void read(null),
    { immediate: true }
  )
  return { rows, loading, refused, next, more: () => read(next.value), reload: () => read(null) }
}

/** The rows of a list to choose from, read on page after page until all are there. */
export function useAll<T>(path: string, query: () => Query | null = () => ({})) {
  const list = usePages<T>(path, () => {
    const asked = query()
    return asked === null ? null : { limit: 100, ...asked }
  })
  watch(list.next, (next) => {
    if (next !== null) void list.more()
  })
  return list
}

/** One thing, read at once and whenever what `sources` read changes; `reload` reads it again without a flicker. */
export function useThing<T>(ask: () => Promise<T> | null, sources?: WatchSource | WatchSource[]) {
  const thing = shallowRef<T | null>(null)
  const loading = ref(false)
  const refused = shallowRef<Refused | null>(null)
  let turn = 0
  async function reload(): Promise<void> {
    const mine = ++turn
    const asked = ask()
    if (asked === null) {
      thing.value = null
      return
    }
    loading.value = true
    try {
      const got = await asked
      if (mine !== turn) return
      thing.value = got
      refused.value = null
    } catch (error) {
      if (mine === turn) refused.value = asRefused(error)
    } finally {
      if (mine === turn) loading.value = false
    }
  }
  if (sources !== undefined) watch(sources as WatchSource[], () => void reload())
  void reload()
  return { thing, loading, refused, reload }
}

/** Something a person sets off: while it runs its button waits, and what the server says against it stays to be shown. */
export function useDeed<A extends unknown[], T>(deed: (...args: A) => Promise<T>) {
  const busy = ref(false)
  const refused = shallowRef<Refused | null>(null)
  /** Null when it was refused, or is under way already. */
  async function run(...args: A): Promise<T | null> {
    if (busy.value) return null
    busy.value = true
    refused.value = null
    try {
      return await deed(...args)
    } catch (error) {
      refused.value = asRefused(error)
      return null
    } finally {
      busy.value = false
    }
  }
  return { busy, refused, run }
}
