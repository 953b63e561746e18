import '@fontsource-variable/instrument-sans'
import './styles.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { openDevice } from './device.ts'
import { USERS } from './users.ts'

const devices = USERS.map(openDevice)
const root = document.querySelector('#root')
if (root === null) throw new Error('Cannot start: index.html has no element #root')

createRoot(root).render(
  <StrictMode>
    <App devices={devices} />
  </StrictMode>,
)
