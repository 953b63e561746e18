import type { ReactNode } from 'react'

/** Icons of 20 × 20, drawn in the colour of the text around them. They never speak for themselves: their control has a name. */
function Icon({ children }: { readonly children: ReactNode }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const WaveIcon = (): ReactNode => (
  <Icon>
    <path d="M2 7.5c2.7 0 2.7 2 5.3 2s2.7-2 5.4-2 2.6 2 5.3 2M2 13c2.7 0 2.7 2 5.3 2s2.7-2 5.4-2 2.6 2 5.3 2" />
  </Icon>
)
export const ArrowIcon = (): ReactNode => (
  <Icon>
    <path d="M4 10h12m-4.5-4.5L16 10l-4.5 4.5" />
  </Icon>
)
export const PlusIcon = (): ReactNode => (
  <Icon>
    <path d="M10 4.5v11M4.5 10h11" />
  </Icon>
)
export const CheckIcon = (): ReactNode => (
  <Icon>
    <path d="m5 10.5 3.4 3.4L15 6.6" />
  </Icon>
)
export const TrashIcon = (): ReactNode => (
  <Icon>
    <path d="M4 6h12M8 6V4.3h4V6m-6.6 0 .7 9.7h7.8l.7-9.7M8.6 9v4M11.4 9v4" />
  </Icon>
)
export const PeopleIcon = (): ReactNode => (
  <Icon>
    <path d="M7.4 9.4a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2ZM2.6 15.8c.3-2.8 2.2-4.4 4.8-4.4s4.5 1.6 4.8 4.4M13.4 9.2a2.2 2.2 0 1 0-1-4.2M14 11.4c2 .3 3.2 1.8 3.4 4.1" />
  </Icon>
)
export const PencilIcon = (): ReactNode => (
  <Icon>
    <path d="m4.5 15.5.7-3 7.7-7.7 2.3 2.3-7.7 7.7-3 .7Zm7-9.3 2.3 2.3" />
  </Icon>
)
export const UpIcon = (): ReactNode => (
  <Icon>
    <path d="M10 15.5v-11M5.5 9 10 4.5 14.5 9" />
  </Icon>
)
export const CloseIcon = (): ReactNode => (
  <Icon>
    <path d="m5.5 5.5 9 9m0-9-9 9" />
  </Icon>
)
export const CopyIcon = (): ReactNode => (
  <Icon>
    <path d="M7.5 7.5h8v8h-8zM12.5 7.5v-3h-8v8h3" />
  </Icon>
)
