import type { z } from 'zod'
import type { MessageDetail, MessageView } from '../../../../shared/message.js'
import { api, call } from './http.js'
import type { Query } from './send.js'

export type Message = z.input<typeof MessageView>
export type MessageWhole = z.input<typeof MessageDetail>

/** Messages; each verb throws Refused. */
export const messagesApi = {
  get: (id: string) => api.get<MessageWhole>(`/v1/messages/${id}`),
  cancel: (id: string) => api.post<Message>(`/v1/messages/${id}/cancel`),
  resolve: (id: string, as: 'accepted' | 'failed') => api.post<Message>(`/v1/messages/${id}/resolve`, { as }),
  /** All messages of a query, one after the other as they arrive. */
  async *all(query: Query): AsyncGenerator<Message> {
    const { body } = await call('GET', '/v1/messages/export', { query })
    if (body === null) return
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      rest += value ?? ''
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line !== '') yield JSON.parse(line) as Message
      if (done) break
    }
    if (rest !== '') yield JSON.parse(rest) as Message
  }
}
