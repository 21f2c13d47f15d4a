import type { z } from 'zod'
import type { OptOutView, PersonView } from '../../../../shared/person.js'
import type { GateView, TimelineEntry } from '../../../../shared/timeline.js'
import { api } from './http.js'
import { keyed } from './key.js'

export type Person = z.input<typeof PersonView>
export type OptOut = z.input<typeof OptOutView>
export type Entry = z.input<typeof TimelineEntry>
export type Gate = z.input<typeof GateView>
/** What a person can be looked up by. */
export type Clue = 'externalId' | 'openId' | 'unionId'

/** People; each verb throws Refused. */
export const peopleApi = {
  get: (id: string) => api.get<Person>(`/v1/people/${id}`),
  lookUp: (clue: Clue, value: string, accountId: string | undefined) =>
    api.post<Person>('/v1/people/lookup', { [clue]: value, ...(accountId && { accountId }) }),
  erase: (id: string) => api.remove(`/v1/people/${id}`),
  whyNot: (id: string, query: { campaignId?: string; accountId?: string; templateId?: string }) =>
    api.get<Gate[]>(`/v1/people/${id}/why-not`, query),
  optOut: (personId: string, topic: string | null, key: string) =>
    api.post<OptOut>('/v1/opt-outs', { personId, topic }, keyed(key)),
  optIn: (id: string) => api.remove(`/v1/opt-outs/${id}`)
}

/** The tags of a person in one line; empty: none. */
export const tagsOf = ({ tags }: Pick<Person, 'tags'>): string =>
  Object.entries(tags).map(([tag, text]) => (text === true ? tag : `${tag}=${text}`)).join(' · ') // prettier-ignore

/** What to call a person: a name they have, else an id. */
export function nameOf(person: Pick<Person, 'id' | 'externalId' | 'attributes'>): string {
  const { nickname, name } = person.attributes
  return [nickname, name].find((each): each is string => typeof each === 'string') ?? person.externalId ?? person.id
}
