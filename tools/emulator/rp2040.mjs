// What is used of rp2040js; it lies in tools/js, where Node.js does not search from this folder.

const library = new URL('../js/node_modules/rp2040js/dist/esm/', import.meta.url)

export const { RP2040, USBCDC, I2CMode, ConsoleLogger, LogLevel, BasePeripheral } =
  await import(new URL('index.js', library))
export const { SimulationClock } = await import(new URL('clock/simulation-clock.js', library))
