/** A kind of marketing the audit rules name, and the words that give it away. */
export type MarketingKind = {
  zh: string
  en: string
  words: readonly string[]
  /** In a title it names the purpose of the message; in a text it may just be a word ("活动地点"). */
  titleOnly?: true
}

/** Rule 1.6 of the audit rules of mini-program template messages (2018), in its order; the words are ours. */
export const MARKETING: readonly MarketingKind[] = [
  {
    zh: '消费优惠',
    en: 'discounts',
    words: [
      ...['优惠', '打折', '折扣', '特价', '特惠', '促销', '秒杀', '满减', '立减', '降价', '大促', '甩卖', '清仓'],
      ...['抢购', '团购', '拼团', '砍价', '买一送一', '免费领', '限时购', '低至']
    ]
  },
  { zh: '购物返利', en: 'cash back', words: ['返利', '返现', '返佣', '佣金', '返钱'] },
  { zh: '商品更新', en: 'new goods', words: ['上新', '新品', '新款', '上架', '商品更新'], titleOnly: true },
  { zh: '优惠券', en: 'coupons', words: ['优惠券', '优惠卷', '折扣券', '满减券', '卡券', '领券'] },
  { zh: '代金券', en: 'vouchers', words: ['代金券', '抵用券', '抵扣券', '现金券', '礼券'] },
  { zh: '红包', en: 'red packets', words: ['红包'] },
  { zh: '会员卡', en: 'membership cards', words: ['会员卡', '会员日', '会员'], titleOnly: true },
  { zh: '积分', en: 'points', words: ['积分'], titleOnly: true },
  { zh: '活动', en: 'promotional events', words: ['活动', '抽奖', '中奖', '福利', '大奖'], titleOnly: true }
]

/** What lures people into taps that only serve to earn a right to send (the rules on violations, first and third). */
export const LURES: readonly string[] = [
  ...['点击领取', '点我领取', '立即领取', '马上领取', '转发领取', '分享领取', '关注领取', '分享到群', '转发到群'],
  ...['分享给好友', '邀请好友', '邀好友', '集赞', '助力', '砍一刀', '帮我砍', '拉新', '裂变']
]

/** Ways of address and moods that belong to one shop, not to a trade. */
export const PERSONAL: readonly string[] = [
  ...['亲爱的', '亲亲', '小主', '主人', '么么', '老铁', '家人们', '宝宝们', '宝贝们', '宝子', '小可爱', '小伙伴'],
  ...['铲屎官', '集美', '哈喽', '嗨', '咱们', '我们', '我家', '本店', '本公司', '小编', '哈哈', '呜呜']
]

/** Words that name no service: a title made of nothing else says nothing about what happened. */
export const SCENELESS: readonly string[] = [
  ...['服务', '消息', '系统', '重要', '温馨', '最新', '平台', '官方', '业务', '状态', '进度', '进展', '结果', '变更'],
  ...['变动', '更新', '信息', '日常', '通用', '普通', '模板', '小程序', '微信', '用户', '客户', '您', '你', '我', '的']
]

/** Too broad for any template: the rules' own example is 内容. */
export const BROAD_KEYWORDS: readonly string[] = [
  ...[
    '内容',
    '信息',
    '详情',
    '详细内容',
    '详细信息',
    '消息',
    '消息内容',
    '通知内容',
    '提醒内容',
    '数据',
    '资料',
    '文字'
  ],
  ...['文本', '描述', '事项', '其他', '其它', '关键词', '参数', '字段', '值']
]

/** Used in WeChat's own library, but better with the thing they belong to in front. */
export const LOOSE_KEYWORDS: readonly string[] = [
  ...['名称', '标题', '时间', '日期', '地点', '地址', '类型', '状态', '结果', '编号', '号码', '单号', '数量', '金额'],
  ...['价格', '项目', '说明', '备注', '原因']
]

/** Words that mean the same in a title or a keyword; each group is read as its first. */
export const SAME: readonly (readonly string[])[] = [
  ['支付', '付款', '缴费', '缴款', '买单', '付费'],
  ['预约', '预订', '预定'],
  ['取件', '取货', '提货', '自提'],
  ['退款', '退费', '退钱'],
  ['发货', '出货', '寄出'],
  ['收货', '签收'],
  ['到期', '过期'],
  ['购买', '下单'],
  ['就诊', '看病', '就医'],
  ['号', '编号', '号码', '序号'],
  ['时间', '日期', '时刻'],
  ['金额', '价格', '价钱', '费用', '款项'],
  ['地点', '地址', '位置', '场所'],
  ['电话', '联系电话', '手机', '手机号', '联系方式'],
  ['姓名', '名字'],
  ['名称', '品名'],
  ['商品', '物品', '货品', '产品'],
  ['快递', '物流'],
  ['备注', '说明', '附注', '温馨提示', '注意事项'],
  ['', '您的', '你的', '我的', '的', '已', '了', '新', '微信', '小程序']
]
