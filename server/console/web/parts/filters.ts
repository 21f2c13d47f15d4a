import { useRoute, useRouter } from 'vue-router'

/** Filters that stand in the address: a list as it is shown can be linked to, and is there again on the way back. */
export function useFilters() {
  const route = useRoute()
  const router = useRouter()
  /** Empty: not filtered by this. */
  const asked = (name: string): string => String(route.query[name] ?? '')
  const listed = (name: string): string[] => asked(name).split(',').filter(Boolean)
  const keep = (name: string, value: string | null) =>
    router.replace({ query: { ...route.query, [name]: value || undefined } })
  /** Puts a value on the list of a filter, or takes it off. */
  const toggle = (name: string, value: string) => {
    const on = listed(name)
    return keep(name, (on.includes(value) ? on.filter((each) => each !== value) : [...on, value]).join())
  }
  /** All filters off; the tab stays. */
  const clear = () => router.replace({ query: route.query.tab === undefined ? {} : { tab: route.query.tab } })
  return { asked, listed, keep, toggle, clear }
}
