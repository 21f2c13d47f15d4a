import { computed } from 'vue'
import { api } from '../../api/http.js'
import { useThing, type Page } from '../../api/pages.js'
import type { Person } from '../../api/people.js'

type Happened = { properties: Record<string, unknown> }
export type Root = 'user' | 'event' | 'tag'

/** A variable as content names it; names that are no plain words go in brackets. */
export const variable = (root: Root, name: string): string =>
  /^[A-Za-z_]\w*$/.test(name) ? `{{ ${root}.${name} }}` : `{{ ${root}["${name.replaceAll('"', '')}"] }}`

const keysOf = (things: readonly Record<string, unknown>[]): string[] =>
  [...new Set(things.flatMap((each) => Object.keys(each)))].sort()

/** What content of an account can name, by what its latest people and events have; and people to try it on. */
export function useVariables(accountId: () => string, event: () => string | null) {
  const { thing: people } = useThing(
    () => (accountId() === '' ? null : api.get<Page<Person>>('/v1/people', { accountId: accountId(), limit: 30 })),
    accountId
  )
  const { thing: events } = useThing(
    () => (event() === null ? null : api.get<Page<Happened>>('/v1/events', { name: event(), limit: 20 })),
    event
  )
  const groups = computed(() => {
    const persons = people.value?.data ?? []
    const found: { root: Root; names: string[] }[] = [
      { root: 'event', names: keysOf((events.value?.data ?? []).map(({ properties }) => properties)) },
      { root: 'user', names: keysOf(persons.map(({ attributes }) => attributes)) },
      { root: 'tag', names: keysOf(persons.map(({ tags }) => tags)) }
    ]
    return found.filter(({ names }) => names.length > 0)
  })
  return {
    groups,
    persons: computed(() => people.value?.data ?? []),
    /** The properties of the latest such event. */
    sampleEvent: computed(() => events.value?.data[0]?.properties ?? null)
  }
}
