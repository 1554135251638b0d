# In /etc/profile.d: the commands of Jacamar CI and their manuals, for root.
if [ "$(id -u)" -eq 0 ]; then
  PATH=$PATH:@PREFIX@/bin
  MANPATH=${MANPATH-}:@PREFIX@/share/man
  export PATH MANPATH
fi
