import type { z } from 'zod'
import type { TemplatePreview, TemplatePreviewPost } from '../../shared/template.js'
import { cardOf } from './card.js'
import { createRenderer, type Scope } from './content.js'
import type { Template } from './templates.js'

/** Draws what one message would look like, or says what keeps it from going. */
export function createPreview() {
  const renderer = createRenderer()

  return function preview(
    template: Template,
    post: z.output<typeof TemplatePreviewPost>,
    scope: Scope
  ): z.output<typeof TemplatePreview> {
    const errors = [
      ...renderer.check(template, post.content),
      ...(post.open === undefined ? [] : renderer.checkOpen(post.open))
    ]
    const empty = template.fields.map((field) => ({ ...field, value: null, color: null }))
    if (errors.length > 0) return { fields: empty, open: null, card: null, warnings: [], errors }

    const policies = { tooLong: post.tooLong, missingVariable: post.missingVariable ?? 'default' }
    const { data, problems } = renderer.compile(template, post.content, policies).render(scope)
    const link = post.open === undefined ? null : renderer.compileOpen(post.open).render(scope)
    const faults = problems.map(({ field, reason, rule, detail }) => ({
      pointer: `/content/${field}`,
      code: reason === 'missingVariable' ? 'content.missing-variable' : `content.${rule}`,
      message: detail
    }))
    if (link?.missing != null) {
      faults.push({ pointer: '/open', code: 'content.missing-variable', message: `${link.missing} is not set` })
    }
    const { card, warnings } = cardOf(template, data, post.emphasis ?? null)
    const fields = template.fields.map((field) => {
      const item = Object.hasOwn(data, field.key) ? data[field.key] : undefined
      return { ...field, value: item?.value ?? null, color: item?.color ?? null }
    })
    return { fields, open: link?.open ?? null, card: faults.length > 0 ? null : card, warnings, errors: faults }
  }
}
