import type { ReactNode } from 'react'

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'hongyan-form': {
        place?: string
        disabled?: boolean
        onSubmit?: (event: { detail: { value: Record<string, unknown> } }) => void
        children?: ReactNode
      }
    }
  }
}
