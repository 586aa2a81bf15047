"""Tools on this computer for boards and nodes: flash, deploy, configure, recover, discover."""
