/**
 * Installs packages of Debian and its relatives, where this user may.
 * @module
 */
import { spawnSync } from "node:child_process";

/** True when the packages were installed; false where there is no apt-get, or no right to use it without a password. */
export function installPackages(names) {
  const isRoot = process.getuid?.() === 0;
  const mayBecomeRoot =
    isRoot || spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  if (!mayBecomeRoot || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0) {
    return false;
  }
  console.log(`sotto: installing ${names.join(" ")}`);
  const apt = (...args) => {
    const command = isRoot ? ["apt-get", ...args] : ["sudo", "-n", "apt-get", ...args];
    return spawnSync(command[0], command.slice(1), { stdio: "inherit" }).status === 0;
  };
  return apt("update", "-q") && apt("install", "-qy", "--no-install-recommends", ...names);
}
