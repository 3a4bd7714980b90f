using System.Net;

namespace Fossil.Models.Hub;

/// <summary>Bytes of a file as they are sent; each piece is reported.</summary>
/// <param name="file">The file.</param>
/// <param name="from">The first byte.</param>
/// <param name="length">How many.</param>
/// <param name="onPiece">Is told how many bytes of the file are sent.</param>
internal sealed class HubFileContent(HubUploadFile file, long from, long length, Action<long> onPiece) : HttpContent
{
    private const int PieceBytes = 1 << 18;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var source = File.OpenHandle(file.Path, options: FileOptions.Asynchronous | FileOptions.SequentialScan);
        var buffer = new byte[PieceBytes];
        for (long done = 0; done < length;)
        {
            var count = await RandomAccess.ReadAsync(source, buffer.AsMemory(0, (int)Math.Min(PieceBytes, length - done)), from + done, cancellationToken).ConfigureAwait(false);
            if (count == 0)
            {
                file.CheckUnchanged();
                throw new EndOfStreamException($"'{file.Path}' ended early.");
            }

            await stream.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            done += count;
            onPiece(from + done);
        }
    }

    protected override bool TryComputeLength(out long bytes)
    {
        bytes = length;
        return true;
    }
}
