//! Who is at the other end: the role that a certificate's URI SAN gives its holder.
