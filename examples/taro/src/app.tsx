import type { PropsWithChildren } from 'react'
import { useLaunch } from '@tarojs/taro'
import { install } from 'hongyan-miniprogram'
import { server } from './config'

export default function App({ children }: PropsWithChildren) {
  useLaunch(() => {
    install({ server })
  })
  return children
}
