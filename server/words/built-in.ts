import type { ListedWord, WordListId } from '../../shared/words.js'
import { MARKETING } from '../templates/lint-words.js'

/** What no service message has a reason to speak of; WeChat's operating rules forbid it in every channel. The words are ours. */
const SENSITIVE: Readonly<Record<string, readonly string[]>> = {
  赌博: ['赌博', '博彩', '赌球', '赌场', '六合彩', '时时彩', '百家乐', '下注', '押注', '真人荷官', '外围投注'],
  色情: ['色情', '裸聊', '约炮', '招嫖', '援交', '成人视频', '激情视频', '一夜情', '包夜'],
  毒品: ['毒品', '冰毒', '海洛因', '摇头丸', '大麻烟', '迷药', '听话水'],
  武器: ['枪支', '弹药出售', '仿真枪', '炸药', '管制刀具'],
  诈骗: [
    ...['刷单', '兼职日结', '跑分', '杀猪盘', '稳赚不赔', '保本高收益', '内幕消息', '带你赚钱', '躺赚', '零投入高回报'],
    ...['安全账户', '验证码告诉', '转账到指定账户', '冻结您的账户', '涉嫌洗钱']
  ],
  非法金融: ['高利贷', '裸贷', '套现', '非法集资', '黑户贷款', '无视征信', '代还信用卡', '洗钱'],
  假证假票: ['办证刻章', '代办证件', '代开发票', '假发票', '假币', '假文凭', '包过不收费'],
  传销: ['传销', '拉人头', '发展下线', '静态收益'],
  人身: ['代孕', '卖卵', '器官买卖', '代怀孕', '精子买卖'],
  隐私: ['查开房', '查档案', '定位他人', '手机监听', '个人信息出售'],
  虚假宣传: ['包治百病', '根治', '药到病除', '祖传秘方', '国家级产品', '全网最低价', '百分百有效', '永不复发']
}

/** The lists a new installation begins with. */
export const BUILT_IN: Readonly<Record<WordListId, readonly ListedWord[]>> = {
  sensitive: Object.entries(SENSITIVE).flatMap(([kind, words]) =>
    words.map((word) => ({ word, kind, titleOnly: false }))
  ),
  marketing: MARKETING.flatMap(({ zh, words, titleOnly = false }) =>
    words.map((word) => ({ word, kind: zh, titleOnly }))
  )
}
