/** A title of the legacy mini-program library; the account's own template picks from its keywords. */
export interface LegacyTitle {
  id: string
  title: string
  keywords: { keyword_id: number; name: string; example: string }[]
}

/** A title of the subscribe-message library. `type` 2 is one-time, 3 long-term. */
export interface SubscribeTitle {
  tid: number
  title: string
  type: 2 | 3
  categoryId: number
  keywords: { kid: number; key: string; name: string; example: string; values?: string[] }[]
}

/** A title of the service-account library: of an industry (`TM…`, fixed text) or of a category (numeric id, keywords by name). */
export interface ServiceTitle {
  id: string
  title: string
  industry?: number
  content?: string
  example?: string
  keywords: { name: string; key: string; example: string }[]
}

const legacy = (id: string, title: string, ...keywords: [name: string, example: string][]): LegacyTitle => ({
  id,
  title,
  keywords: keywords.map(([name, example], i) => ({ keyword_id: i + 1, name, example }))
})

/** The legacy library, all of our own invention. */
// prettier-ignore
export const LEGACY_LIBRARY: readonly LegacyTitle[] = [
  legacy('AT0002', '购买成功通知', ['订单编号', 'D20190608017'], ['商品名称', '晨读手账本'], ['付款金额', '39.80元'], ['购买时间', '2019年6月8日 10:21'], ['购买地点', '山塘街店'], ['交易单号', '420000031'], ['温馨提示', '请凭编号到店领取']),
  legacy('AT0007', '订单发货提醒', ['订单编号', 'D20190608017'], ['物流公司', '飞雁速运'], ['快递单号', 'FY7310025518'], ['发货时间', '2019年6月8日 16:40'], ['商品名称', '晨读手账本'], ['收货地址', '枫桥路12号'], ['备注', '预计两日内送达']),
  legacy('AT0009', '订单支付成功通知', ['订单编号', 'D20190608017'], ['支付金额', '39.80元'], ['支付时间', '2019年6月8日 10:21'], ['商品名称', '晨读手账本'], ['支付方式', '微信支付']),
  legacy('AT0014', '预约成功通知', ['预约项目', '洁牙'], ['预约时间', '2019年6月10日 15:00'], ['预约门店', '山岚诊所东门店'], ['联系电话', '0571-81230000'], ['预约人', '李小云'], ['备注', '请提前十分钟到店']),
  legacy('AT0022', '就诊提醒', ['就诊人', '李小云'], ['就诊时间', '2019年6月10日 15:00'], ['科室', '口腔科'], ['医生', '周医生'], ['就诊地点', '门诊楼三层'], ['注意事项', '请携带医保卡']),
  legacy('AT0031', '取件提醒', ['取件码', '8-1-2'], ['地址', '东门柜机'], ['快递公司', '飞雁速运'], ['快递单号', 'FY7310025518'], ['保留期限', '24小时'], ['联系电话', '0571-81230000']),
  legacy('AT0036', '退款成功通知', ['退款金额', '39.80元'], ['退款原因', '拍错规格'], ['退款时间', '2019年6月9日 09:12'], ['订单编号', 'D20190608017'], ['退款方式', '原路退回']),
  legacy('AT0045', '排队到号通知', ['排队号码', 'A017'], ['门店名称', '山塘街店'], ['桌型', '四人桌'], ['前方等待', '0桌'], ['取号时间', '2019年6月8日 18:02']),
  legacy('AT0051', '课程开始提醒', ['课程名称', '书法入门'], ['上课时间', '2019年6月12日 19:00'], ['上课地点', '二号教室'], ['授课老师', '沈老师'], ['备注', '请自带毛笔']),
  legacy('AT0060', '活动报名成功通知', ['活动名称', '周末读书会'], ['活动时间', '2019年6月15日 14:00'], ['活动地点', '晨读书店二楼'], ['报名人', '李小云'], ['报名编号', 'B0098']),
  legacy('AT0078', '还书到期提醒', ['书名', '湖心记'], ['到期时间', '2019年6月20日'], ['借阅人', '李小云'], ['逾期费用', '0.10元每天'], ['归还地点', '任一分馆']),
  legacy('AT0083', '维修进度通知', ['维修单号', 'W0620'], ['维修项目', '屏幕更换'], ['当前进度', '已完成检测'], ['更新时间', '2019年6月8日 11:30'], ['工程师', '方师傅']),
  legacy('AT0097', '账单生成提醒', ['账单周期', '2019年5月'], ['应付金额', '128.00元'], ['到期日', '2019年6月25日'], ['户号', '3301002'], ['账单类型', '水费']),
  legacy('AT0104', '停车缴费提醒', ['车牌号', '浙A1B2C3'], ['停车场', '山塘街停车场'], ['入场时间', '2019年6月8日 13:05'], ['应缴金额', '12.00元'], ['停车时长', '3小时2分']),
  legacy('AT0118', '评价提醒', ['服务项目', '洁牙'], ['服务时间', '2019年6月10日 15:00'], ['服务门店', '山岚诊所东门店'], ['备注', '期待您的意见']),
  legacy('AT0126', '会议开始提醒', ['会议主题', '六月选书会'], ['开始时间', '2019年6月11日 10:00'], ['会议地点', '线上'], ['发起人', '沈老师']),
  legacy('AT0139', '审核结果通知', ['审核项目', '实名认证'], ['审核结果', '已通过'], ['审核时间', '2019年6月8日 17:45'], ['申请人', '李小云'], ['备注', '可开始借阅']),
  legacy('AT0150', '体检报告领取通知', ['体检人', '李小云'], ['报告编号', 'T20190608'], ['领取地点', '门诊楼一层'], ['领取时间', '工作日 9:00-17:00'])
]

/** The service categories a sandbox app has. */
export const CATEGORIES = [
  { id: 307, name: '书店' },
  { id: 616, name: '线下超市/便利店' },
  { id: 671, name: '就医服务' }
] as const

/** The subscribe-message library, all of our own invention. */
// prettier-ignore
export const SUBSCRIBE_LIBRARY: readonly SubscribeTitle[] = [
  { tid: 401, title: '订单发货通知', type: 2, categoryId: 307, keywords: [
    { kid: 1, key: 'character_string1', name: '订单编号', example: 'D20240501017' },
    { kid: 2, key: 'thing2', name: '商品名称', example: '晨读手账本' },
    { kid: 3, key: 'date5', name: '发货时间', example: '2024年5月1日 16:40' },
    { kid: 4, key: 'phrase3', name: '快递公司', example: '飞雁速运' },
    { kid: 5, key: 'thing7', name: '备注', example: '预计两日内送达' }
  ] },
  { tid: 402, title: '取货提醒', type: 2, categoryId: 307, keywords: [
    { kid: 1, key: 'thing1', name: '取货地点', example: '东门柜机' },
    { kid: 2, key: 'character_string2', name: '取货码', example: '8-1-2' },
    { kid: 3, key: 'time3', name: '取货时间', example: '2024年5月1日 21:20' },
    { kid: 4, key: 'phone_number4', name: '联系电话', example: '0571-81230000' }
  ] },
  { tid: 408, title: '付款成功通知', type: 2, categoryId: 307, keywords: [
    { kid: 1, key: 'character_string1', name: '订单编号', example: 'D20240501017' },
    { kid: 2, key: 'amount2', name: '付款金额', example: '¥39.80' },
    { kid: 3, key: 'time3', name: '付款时间', example: '2024-05-01 10:21' },
    { kid: 4, key: 'thing4', name: '商品名称', example: '晨读手账本' }
  ] },
  { tid: 415, title: '活动开始提醒', type: 2, categoryId: 307, keywords: [
    { kid: 1, key: 'thing1', name: '活动名称', example: '周末读书会' },
    { kid: 2, key: 'date2', name: '开始时间', example: '2024年5月4日 14:00' },
    { kid: 3, key: 'thing3', name: '活动地点', example: '晨读书店二楼' },
    { kid: 4, key: 'number4', name: '已报名人数', example: '36' }
  ] },
  { tid: 1126, title: '排队进度通知', type: 2, categoryId: 616, keywords: [
    { kid: 1, key: 'character_string1', name: '排队号码', example: 'A017' },
    { kid: 2, key: 'number2', name: '前方等待', example: '3' },
    { kid: 3, key: 'thing3', name: '门店名称', example: '山塘街店' },
    { kid: 4, key: 'phrase4', name: '当前状态', example: '排队中' }
  ] },
  { tid: 1130, title: '停车缴费通知', type: 2, categoryId: 616, keywords: [
    { kid: 1, key: 'car_number1', name: '车牌号', example: '浙A1B2C3' },
    { kid: 2, key: 'amount2', name: '应缴金额', example: '12.00元' },
    { kid: 3, key: 'time3', name: '入场时间', example: '13:05' },
    { kid: 4, key: 'letter4', name: '区域', example: 'B' },
    { kid: 5, key: 'symbol5', name: '标记', example: '##' }
  ] },
  { tid: 2201, title: '就诊提醒', type: 3, categoryId: 671, keywords: [
    { kid: 1, key: 'name1', name: '就诊人', example: '李小云' },
    { kid: 2, key: 'time2', name: '就诊时间', example: '2024年5月6日 15:00' },
    { kid: 3, key: 'thing3', name: '就诊科室', example: '口腔科' },
    { kid: 4, key: 'enum4', name: '就诊类型', example: '初诊', values: ['初诊', '复诊', '体检'] }
  ] },
  { tid: 2202, title: '检查报告通知', type: 3, categoryId: 671, keywords: [
    { kid: 1, key: 'name1', name: '检查人', example: '李小云' },
    { kid: 2, key: 'thing2', name: '检查项目', example: '血常规' },
    { kid: 3, key: 'phrase3', name: '报告状态', example: '已出具' },
    { kid: 4, key: 'date4', name: '出具日期', example: '2024-05-06' }
  ] },
  { tid: 2210, title: '预约成功通知', type: 2, categoryId: 671, keywords: [
    { kid: 1, key: 'thing1', name: '预约项目', example: '洁牙' },
    { kid: 2, key: 'time2', name: '预约时间', example: '2024年5月6日 15:00' },
    { kid: 3, key: 'name3', name: '预约人', example: '李小云' },
    { kid: 4, key: 'thing4', name: '门店', example: '山岚诊所东门店' }
  ] },
  { tid: 10000087, title: '新书到店通知', type: 2, categoryId: 307, keywords: [
    { kid: 1, key: 'thing1', name: '书名', example: '湖心记' },
    { kid: 2, key: 'date2', name: '到店时间', example: '2024年5月8日' },
    { kid: 3, key: 'thing3', name: '门店', example: '晨读书店山塘街店' }
  ] }
]

/** Titles from here on come whole: nobody picks from their keywords. */
export const WHOLE_TITLES = { from: 10_000_001, below: 20_000_000 } as const

/** The service-account library, all of our own invention. */
// prettier-ignore
export const SERVICE_LIBRARY: readonly ServiceTitle[] = [
  { id: 'TM00017', title: '订单状态更新', industry: 1, content: '{{first.DATA}}\n订单编号：{{OrderSn.DATA}}\n订单状态：{{OrderStatus.DATA}}\n{{remark.DATA}}', example: '您的订单有新进展\n订单编号：D20160608\n订单状态：已发货\n感谢惠顾', keywords: [] },
  { id: 'OPENTM200565', title: '订单发货通知', industry: 1, content: '{{first.DATA}}\n订单编号：{{keyword1.DATA}}\n快递公司：{{keyword2.DATA}}\n快递单号：{{keyword3.DATA}}\n{{remark.DATA}}', example: '您的订单已发货\n订单编号：D20160608\n快递公司：飞雁速运\n快递单号：FY7310025518\n请注意查收', keywords: [] },
  { id: 'OPENTM200411', title: '上课提醒', industry: 16, content: '{{first.DATA}}\n课程：{{keyword1.DATA}}\n时间：{{keyword2.DATA}}\n{{remark.DATA}}', example: '您有一节课将要开始\n课程：书法入门\n时间：6月12日 19:00\n请准时到课', keywords: [] },
  { id: 'OPENTM200722', title: '预约成功提醒', industry: 22, content: '{{first.DATA}}\n预约项目：{{keyword1.DATA}}\n预约时间：{{keyword2.DATA}}\n{{remark.DATA}}', example: '预约成功\n预约项目：洁牙\n预约时间：6月10日 15:00\n请提前十分钟到店', keywords: [] },
  { id: '43216', title: '订单发货通知', keywords: [
    { name: '订单号', key: 'character_string1', example: 'D20240501017' },
    { name: '商品', key: 'thing2', example: '晨读手账本' },
    { name: '发货时间', key: 'time3', example: '2024-05-01 16:40' },
    { name: '快递公司', key: 'thing4', example: '飞雁速运' },
    { name: '快递单号', key: 'character_string5', example: 'FY7310025518' }
  ] },
  { id: '43221', title: '付款成功通知', keywords: [
    { name: '订单号', key: 'character_string1', example: 'D20240501017' },
    { name: '付款金额', key: 'amount2', example: '39.80元' },
    { name: '付款时间', key: 'time3', example: '2024-05-01 10:21' }
  ] },
  { id: '45590', title: '预约提醒', keywords: [
    { name: '预约项目', key: 'thing1', example: '洁牙' },
    { name: '预约时间', key: 'time2', example: '2024年5月6日 15:00' },
    { name: '预约人', key: 'name3', example: '李小云' },
    { name: '门店', key: 'thing4', example: '山岚诊所东门店' },
    { name: '联系电话', key: 'phone_number5', example: '0571-81230000' }
  ] },
  { id: '47123', title: '新品到店通知', keywords: [
    { name: '商品名称', key: 'thing1', example: '湖心记 精装本' },
    { name: '到店时间', key: 'date2', example: '2024年5月8日' },
    { name: '门店', key: 'thing3', example: '晨读书店山塘街店' },
    { name: '当前状态', key: 'phrase4', example: '可购买' }
  ] },
  { id: '48870', title: '活动开始提醒', keywords: [
    { name: '活动名称', key: 'thing1', example: '周末读书会' },
    { name: '开始时间', key: 'time2', example: '2024年5月4日 14:00' },
    { name: '活动地点', key: 'thing3', example: '晨读书店二楼' }
  ] }
]

/** Industry codes 1 to 41 as `[first class, second class]`; the sub-industry of 1 is spelled with a bar in answers. */
// prettier-ignore
export const INDUSTRIES: readonly (readonly [string, string])[] = [
  ['IT科技', '互联网|电子商务'], ['IT科技', 'IT软件与服务'], ['IT科技', 'IT硬件与设备'], ['IT科技', '电子技术'], ['IT科技', '通信与运营商'], ['IT科技', '网络游戏'],
  ['金融业', '银行'], ['金融业', '基金理财信托'], ['金融业', '保险'], ['餐饮', '餐饮'], ['酒店旅游', '酒店'], ['酒店旅游', '旅游'],
  ['运输与仓储', '快递'], ['运输与仓储', '物流'], ['运输与仓储', '仓储'], ['教育', '培训'], ['教育', '院校'],
  ['政府与公共事业', '学术科研'], ['政府与公共事业', '交警'], ['政府与公共事业', '博物馆'], ['政府与公共事业', '公共事业|非盈利机构'],
  ['医药护理', '医药医疗'], ['医药护理', '护理美容'], ['医药护理', '保健与卫生'], ['交通工具', '汽车相关'], ['交通工具', '摩托车相关'],
  ['交通工具', '火车相关'], ['交通工具', '飞机相关'], ['房地产', '建筑'], ['房地产', '物业'], ['消费品', '消费品'], ['商业服务', '法律'],
  ['商业服务', '会展'], ['商业服务', '中介服务'], ['商业服务', '认证'], ['商业服务', '审计'], ['文体娱乐', '传媒'], ['文体娱乐', '体育'],
  ['文体娱乐', '娱乐休闲'], ['印刷', '印刷'], ['其它', '其它']
]
