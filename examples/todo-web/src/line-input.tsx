import { useState, type ReactNode } from 'react'

type Props = {
  readonly label: string
  readonly icon: ReactNode
  /** Called with the trimmed text, never with an empty one. */
  readonly onEnter: (text: string) => void
}

/** One line to type into; Enter takes it and leaves the line empty for the next. */
export function LineInput({ label, icon, onEnter }: Props): ReactNode {
  const [text, setText] = useState('')
  const enter = (): void => {
    const trimmed = text.trim()
    if (trimmed === '') return
    onEnter(trimmed)
    setText('')
  }
  return (
    <form
      className="line-input"
      onSubmit={(event) => {
        event.preventDefault()
        enter()
      }}
    >
      {icon}
      <input
        type="text"
        aria-label={label}
        placeholder={label}
        value={text}
        maxLength={500}
        autoComplete="off"
        onChange={(event) => setText(event.currentTarget.value)}
      />
    </form>
  )
}
