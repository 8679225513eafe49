"""Archive: what was last good, kept on disk, so that a restart has it.

In: the grounds of a graph, the manifests that each workspace and the fleet were last good with. Out: records in a
folder, one file an owner, as texts of policies, which any later version of Fairlead can read; and, at the start, the
graph that is made of them. It must not decide what is good: `graph` does, before and after.
"""

from xds_server.archive.archive import Archive, Recalled
from xds_server.archive.folder import ArchiveFolder, Fault
from xds_server.archive.form import FormError
from xds_server.archive.image import Image, Stamps
from xds_server.archive.journal import Journal, JournalError
from xds_server.archive.record import Document, Record

__all__ = [
    "Archive",
    "ArchiveFolder",
    "Document",
    "Fault",
    "FormError",
    "Image",
    "Journal",
    "JournalError",
    "Recalled",
    "Record",
    "Stamps",
]
