import type { Scene } from '../../shared/message.js'
import type { Content, TemplateField } from '../../shared/template.js'
import type { Fault } from '../platform/errors.js'

type Expected = { what: string; label: RegExp; types?: readonly string[] }

const TIME: Expected = { what: 'a time', label: /时间|日期|时刻|几点/, types: ['date', 'time'] }

/**
 * What a message of a scene is expected to tell, after the customer's table of scenes: a payment its order, amount and
 * time; a parcel its carrier and number; an appointment when and where.
 */
const EXPECTED: Record<Scene, readonly Expected[]> = {
  payment: [
    { what: 'an order number', label: /订单|单号|流水|交易号/ },
    { what: 'an amount', label: /金额|价格|价钱|费用|款项|实付|应付/, types: ['amount'] },
    TIME
  ],
  logistics: [
    { what: 'a carrier', label: /(物流|快递|配送|承运)(公司|商|方|服务)|承运/ },
    { what: 'a waybill number', label: /运单|面单|(物流|快递|配送)(单|编|号)|取件码|单号/ }
  ],
  appointment: [TIME, { what: 'a place', label: /地点|地址|位置|场所|门店|院区|诊室|网点|教室/ }]
}

/** What the scene asks for and no field that is filled tells. */
export function sceneWarnings(scene: Scene | undefined, fields: readonly TemplateField[], content: Content): Fault[] {
  if (scene === undefined) return []
  const filled = fields.filter(({ key }) => content[key] !== undefined)
  const isTold = ({ label, types = [] }: Expected) =>
    filled.some(({ name, type }) => label.test(name) || types.includes(type))
  return EXPECTED[scene]
    .filter((each) => !isTold(each))
    .map(({ what }) => ({
      pointer: '/scene',
      code: 'scene.field-missing',
      message: `people expect ${what} in a message of the scene ${scene}; no field that is filled names it`
    }))
}
