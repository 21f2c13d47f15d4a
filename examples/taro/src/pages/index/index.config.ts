// With miniprogram_dist in the path: Taro says nothing when it finds no component there
export default definePageConfig({
  usingComponents: {
    'hongyan-form': 'hongyan-miniprogram/miniprogram_dist/components/hongyan-form/hongyan-form'
  }
})
