// uni-app takes native components from src/wxcomponents only, so the package's files are copied there before each build.
import { cpSync, rmSync } from 'node:fs'

const to = new URL('./src/wxcomponents/hongyan-miniprogram/', import.meta.url)
rmSync(to, { recursive: true, force: true })
cpSync(new URL('./node_modules/hongyan-miniprogram/miniprogram_dist/', import.meta.url), to, { recursive: true })
