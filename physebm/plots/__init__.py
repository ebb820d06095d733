"""Small functions from stored datasets to figures in one house style.

Every function takes what is stored (xarray in) and gives a `matplotlib.figure.Figure`; theory comes
in as lines, so that a figure knows no theory. What a point of a figure is: see
`physebm.storage.points`.
"""

from physebm.plots.couplings import couplings as couplings
from physebm.plots.curves import curve as curve
from physebm.plots.features import features as features
from physebm.plots.files import save as save
from physebm.plots.histograms import histogram as histogram
from physebm.plots.labels import axis_label as axis_label
from physebm.plots.legends import BAD as BAD
from physebm.plots.legends import METASTABLE as METASTABLE
from physebm.plots.moments import moment_scatter as moment_scatter
from physebm.plots.phase_diagrams import phase_diagram as phase_diagram
from physebm.plots.pictures import images as images
from physebm.plots.samples import samples as samples
from physebm.plots.series import traces as traces
from physebm.plots.spectra import spectrum as spectrum
from physebm.plots.style import COLOURS as COLOURS
from physebm.plots.style import COLUMN as COLUMN
from physebm.plots.style import DASHES as DASHES
from physebm.plots.style import DOUBLE as DOUBLE
from physebm.plots.style import MARKERS as MARKERS
from physebm.plots.style import STYLE as STYLE
from physebm.plots.style import entitled as entitled
from physebm.plots.training_curves import training_curve as training_curve
